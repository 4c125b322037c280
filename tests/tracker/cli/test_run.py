"""Several conversations in one process."""

import anyio
import pytest

from tests.support.command import telephone, tracker, turns
from tests.support.sessions import conversation
from tracker.cli.run import stopped_while_opening, together
from tracker.errors import SourceError, TrackerError
from tracker.events import SessionEnded
from tracker.runtime.control import Control

pytestmark = pytest.mark.anyio


class Scripted:
    """Ends, fails, or listens until it is stopped."""

    def __init__(self, failure: Exception | None = None, endless: bool = False) -> None:
        self.failure = failure
        self.endless = endless
        self.stopped = False

    async def run(self, control: Control) -> SessionEnded:
        await anyio.lowlevel.checkpoint()
        if self.failure:
            raise self.failure
        if self.endless:
            await control.drained.wait()
            self.stopped = True
        last = conversation()[-1]
        assert isinstance(last, SessionEnded)
        return last


async def test_a_session_that_fails_does_not_end_the_others():
    said: list[str] = []
    sessions = {
        "good": Scripted(),
        "bad": Scripted(SourceError("call.wav: ends in the middle")),
        "long": Scripted(endless=True),
    }
    control = Control()
    async with anyio.create_task_group() as group:

        async def stop_later() -> None:
            await anyio.wait_all_tasks_blocked()
            control.stop()

        group.start_soon(stop_later)
        with pytest.raises(
            TrackerError, match=r"^1 of 3 sessions failed; bad: call.wav: ends in the middle$"
        ) as raised:
            await together({name: one.run for name, one in sessions.items()}, control, said.append)
    assert raised.value.exit_code == SourceError.exit_code
    assert sessions["long"].stopped
    assert said == ["bad: failed: call.wav: ends in the middle"]


async def test_stopping_twice_aborts_every_session():
    controls: list[Control] = []

    class Stubborn(Scripted):
        async def run(self, control: Control) -> SessionEnded:
            controls.append(control)
            await control.aborted.wait()
            return await super().run(control)

    control = Control()
    async with anyio.create_task_group() as group:

        async def stop_twice() -> None:
            control.stop()
            await anyio.wait_all_tasks_blocked()
            control.stop()

        group.start_soon(stop_twice)
        ended = await together({"a": Stubborn().run, "b": Stubborn().run}, control, lambda _: None)
    assert len(ended) == 2
    assert all(each.aborted.is_set() for each in controls)


async def test_an_only_session_that_fails_says_so_itself():
    with pytest.raises(SourceError, match=r"^call.wav: is empty$"):
        await together({"": Scripted(SourceError("call.wav: is empty")).run}, Control(), lambda _: None)


@pytest.mark.parametrize("stops", [1, 2])
async def test_a_source_that_is_never_opened_does_not_keep_a_session_from_being_stopped(stops, monkeypatch):
    monkeypatch.setattr("tracker.cli.run.MAY_TAKE_S", 0.01 if stops == 1 else 60)
    control = Control()
    for _ in range(stops):
        control.stop()
    with anyio.fail_after(20), pytest.raises(SourceError, match=r"^hangs: was not open yet when"):
        async with stopped_while_opening(control, "hangs"):
            await anyio.sleep_forever()


async def test_a_source_that_was_opened_is_stopped_by_its_session():
    control = Control()
    control.stop()
    async with stopped_while_opening(control, "fine") as opened:
        opened()
        control.stop()
        await anyio.wait_all_tasks_blocked()


def told(events, session=None):
    """Events without what differs from run to run."""
    ignored = {"session", "time", "start_time", "end_time", "latency_ms"}
    plain = [event.model_dump(mode="json") for event in events if session in (None, event.session)]
    return [{key: value for key, value in event.items() if key not in ignored} for event in plain]


@pytest.mark.models
def test_conversations_at_once_give_the_events_that_each_gives_alone(tmp_path):
    sample = telephone()
    copy = tmp_path / "copy.wav"
    copy.write_bytes(sample.read_bytes())
    options = ("--json", "--mqtt", "off", "--pace", "fast")
    alone = tracker("run", str(sample), *options, folder=tmp_path)
    both = tracker("run", str(sample), str(copy), *options, "--record", "kept", folder=tmp_path)
    assert (alone.code, both.code) == (0, 0), both.said
    sessions = {event.session: event for event in both.events if event.type == "session.started"}
    assert {event.source for event in sessions.values()} == {sample.name, copy.name}
    assert turns(alone.events)
    for session, started in sessions.items():
        ours = told(both.events, session)
        ours[0] = {**ours[0], "source": sample.name}
        assert ours == told(alone.events), started.source
    for name in ("sample", "copy"):
        assert (tmp_path / "kept" / name / "stop.json").is_file()
    assert {one["session"] for one in both.metrics} == set(sessions)
    assert all(one["turns"] == len(turns(alone.events)) and one["rss_mb"] > 0 for one in both.metrics)
