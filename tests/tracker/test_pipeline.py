from collections.abc import AsyncIterable

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fakes import INFO, Broken, Collect, FakeClock, FakeSource, outlets, steps
from tracker import pipeline
from tracker.errors import SinkError, SourceLost
from tracker.events import Event, SessionEnded, SessionStarted, TurnEnded, TurnSkipped, TurnStarted, from_json, to_json
from tracker.runtime.control import Control

pytestmark = pytest.mark.anyio

TURN = "#####" + "......" + ".."


async def play(source, fates=(), sinks=(), control=None, said=None) -> tuple[SessionEnded, list[Event]]:
    collect = Collect()
    with anyio.fail_after(20):
        last = await pipeline.run(
            source,
            lambda channels: steps(fates),
            outlets(collect, *sinks, said=said),
            INFO,
            FakeClock(),
            control or Control(),
        )
    assert collect.events[-1] == last
    assert [event.seq for event in collect.events] == list(range(len(collect.events)))
    return last, collect.events


def balanced(events: list[Event]) -> None:
    started = [e.turn for e in events if isinstance(e, TurnStarted)]
    closed = [e.turn for e in events if isinstance(e, TurnEnded | TurnSkipped)]
    assert started == sorted(started)
    assert sorted(closed) == started
    last = events[-1]
    assert isinstance(last, SessionEnded)
    assert last.turns_started == len(started) == last.turns_ended + last.turns_skipped


async def test_a_session_from_the_first_sample_to_its_outcome():
    last, events = await play(FakeSource(TURN * 2))
    assert [event.type for event in events] == [
        "session.started", "turn.started", "turn.ended", "turn.started", "turn.ended", "session.ended",
    ]  # fmt: skip
    assert isinstance(events[0], SessionStarted)
    assert events[0].time == "2026-01-02T03:04:05.000Z"
    turn = events[2]
    assert isinstance(turn, TurnEnded)
    assert (turn.start_ns, turn.end_ns, turn.end_time) == (0, 120_000_000, "2026-01-02T03:04:05.120Z")
    assert turn.latency_ms.endpoint == 100
    assert turn.latency_ms.total > 0
    assert (last.outcome, last.error, last.dropped, last.media_ns) == ("completed", None, {}, 520_000_000)
    assert [from_json(to_json(event)) for event in events] == events


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["judged", "deaf", "silent", "failed"]), max_size=8))
def test_published_and_skipped_are_the_turns_started(fates):
    async def main() -> None:
        last, events = await play(FakeSource(TURN * len(fates)), fates)
        balanced(events)
        assert last.turns_ended == fates.count("judged")
        reasons = [event.reason for event in events if isinstance(event, TurnSkipped)]
        assert reasons == ["no_speech" if fate == "silent" else "model_failed" for fate in fates if fate != "judged"]

    anyio.run(main)


async def test_a_lost_source_ends_the_session_as_failed_with_everything_heard_kept():
    collect = Collect()
    with pytest.raises(SourceLost, match="unplugged"):
        await pipeline.run(
            FakeSource(TURN + "#####", failure=SourceLost("the microphone was unplugged")),
            lambda channels: steps(), outlets(collect), INFO, FakeClock(), Control(),
        )  # fmt: skip
    balanced(collect.events)
    last = collect.events[-1]
    assert isinstance(last, SessionEnded)
    assert (last.outcome, last.error, last.turns_ended) == ("failed", "the microphone was unplugged", 2)


async def test_asked_to_stop_it_finishes_what_was_heard():
    control = Control()
    last, events = await play(FakeSource(TURN + "#####", endless=True, at={17: control.stop}), control=control)
    balanced(events)
    assert (last.outcome, last.turns_ended) == ("stopped", 2)


class FirstTurn:
    """A sink that tells when the first turn has ended."""

    name = "first turn"

    def __init__(self) -> None:
        self.ended = anyio.Event()

    async def run(self, events: AsyncIterable[Event]) -> None:
        async for event in events:
            if isinstance(event, TurnEnded):
                self.ended.set()


async def test_asked_twice_it_finishes_at_once():
    control, first = Control(), FirstTurn()

    async def ask_twice() -> None:
        await first.ended.wait()
        control.stop()
        control.stop()

    source = FakeSource(TURN * 3, endless=True)
    last, events = await play(source, ["judged", ask_twice], sinks=[first], control=control)
    balanced(events)
    assert (last.outcome, last.turns_ended) == ("aborted", 1)
    assert {event.reason for event in events if isinstance(event, TurnSkipped)} == {"aborted"}


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (None, "broken: the disk is full"),
        (RuntimeError("a bug"), "broken failed and is left out: RuntimeError: a bug"),
        (ExceptionGroup("", [SinkError("gone")]), "broken: gone"),
        (ExceptionGroup("", [RuntimeError("a bug")]), "broken failed and is left out: RuntimeError: a bug"),
    ],
)
async def test_a_broken_sink_is_reported_and_holds_up_nobody(error, sentence):
    said: list[str] = []
    last, events = await play(FakeSource(TURN * 3), sinks=[Broken(1, error)], said=said)
    balanced(events)
    assert last.turns_ended == 3
    assert said == [sentence]


async def test_a_bug_in_a_step_still_leaves_an_outcome():
    collect = Collect()
    with pytest.raises(ZeroDivisionError):
        await pipeline.run(
            FakeSource(TURN * 3, endless=True),
            lambda channels: steps(["judged", ZeroDivisionError("oh")]),
            outlets(collect), INFO, FakeClock(), Control(),
        )  # fmt: skip
    balanced(collect.events)
    last = collect.events[-1]
    assert isinstance(last, SessionEnded)
    assert (last.outcome, last.error) == ("failed", "ZeroDivisionError: oh")
    assert last.turns_ended == 1


async def test_a_sink_that_never_finishes_is_given_up(monkeypatch):
    class Stuck:
        name = "stuck"

        async def run(self, events) -> None:
            await anyio.sleep_forever()

    monkeypatch.setattr(pipeline, "MAY_TAKE_S", 0.0)
    said: list[str] = []
    _, events = await play(FakeSource(TURN), sinks=[Stuck()], said=said)
    balanced(events)
    assert said == ["stuck: not finished in time, given up"]


async def test_a_session_ends_although_a_sink_takes_nothing_any_more_and_its_edge_is_full(monkeypatch):
    class Stuck:
        name = "stuck"

        async def run(self, events: AsyncIterable[Event]) -> None:
            control.stop()
            control.stop()
            await anyio.sleep_forever()

    monkeypatch.setattr(pipeline, "MAY_TAKE_S", 0.1)
    monkeypatch.setattr(pipeline, "_EVENTS", 1)
    said, control = [], Control()
    with anyio.fail_after(20):
        last = await pipeline.run(
            FakeSource(TURN * 3), lambda channels: steps(), outlets(Stuck(), said=said), INFO, FakeClock(), control
        )
    assert last.outcome == "aborted"
    assert said == ["stuck: not finished in time, given up"]


async def test_the_recording_hears_what_the_pipeline_hears():
    heard = []

    async def record(chunks) -> None:
        heard.extend([chunk async for chunk in chunks])

    collect = Collect()
    out = outlets(collect)
    out = pipeline.Outlets(out.sinks, record, out.report)
    await pipeline.run(FakeSource(TURN), lambda channels: steps(), out, INFO, FakeClock(), Control())
    assert [chunk.start for chunk in heard] == [i * 320 for i in range(len(TURN))]
