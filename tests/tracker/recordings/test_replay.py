import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import FakeClock
from tests.support.sessions import Script, conversation, given_out, sessions
from tracker.errors import SessionError
from tracker.events import Event, to_json
from tracker.recordings.recorder import Recorder
from tracker.recordings.replay import moment_ns, parse_events, publish, read_session, replay
from tracker.runtime.clock import NS_PER_S

pytestmark = pytest.mark.anyio


class StillClock(FakeClock):
    """Moves only while somebody sleeps."""

    def now_ns(self) -> int:
        return self.now


async def replayed(events: list[Event], speed: float | None) -> list[tuple[float, Event]]:
    """Each event and the second at which it came."""
    clock = StillClock()
    begun = clock.now
    return [((clock.now - begun) / NS_PER_S, event) async for event in replay(events, clock, speed)]


async def test_events_come_again_at_their_own_pace():
    timed = await replayed(conversation(), 1)
    assert [(round(second, 3), event.type) for second, event in timed] == [
        (0, "session.started"),
        (0.4, "turn.started"),
        (1.9, "turn.ended"),  # 1.2 s of media, 0.5 s until the turn was over, 0.2 s to judge it
        (1.9, "turn.started"),  # it began at 1.5 s, but was told after the turn before it
        (4.1, "turn.ended"),
        (4.1, "turn.started"),
        (5.1, "turn.ended"),
        (5.1, "turn.started"),
        (5.6, "turn.skipped"),
        (6.5, "session.ended"),
    ]


@given(sessions(), st.sampled_from([0.5, 1, 2, 10.0, None]))
def test_a_replay_changes_nothing_and_never_goes_back(events, speed):
    timed = anyio.run(replayed, events, speed)
    assert [event for _, event in timed] == events
    seconds = [second for second, _ in timed]
    assert seconds == sorted(seconds)
    whole = max(map(moment_ns, events)) / NS_PER_S
    assert seconds[-1] == pytest.approx(0 if speed is None else whole / speed)


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
async def test_a_speed_that_is_none(speed):
    with pytest.raises(ValueError, match="above 0"):
        await replayed(conversation(), speed)


@given(sessions(), st.data())
def test_a_log_cut_anywhere_gives_the_events_before_the_cut(events, data):
    log = b"".join(to_json(event).encode() + b"\n" for event in events)
    cut = data.draw(st.integers(0, len(log)))
    read, torn = parse_events(log[:cut], "s-1", "events.jsonl")
    whole = log[:cut].count(b"\n")
    assert list(read) == events[: len(read)]
    assert len(read) in (whole, whole + 1)  # one more where only the newline is missing
    assert torn == (len(read) == whole and not log[:cut].endswith(b"\n") and cut > 0)


@pytest.fixture
async def folder(tmp_path):
    await Recorder(tmp_path, {}).run(given_out(conversation()))
    return tmp_path


def change(path, old: bytes, new: bytes) -> None:
    contents = path.read_bytes()
    assert old in contents
    path.write_bytes(contents.replace(old, new, 1))


async def test_a_recording_that_was_cut_off_is_read_as_far_as_it_goes(folder):
    log = (folder / "events.jsonl").read_bytes()
    (folder / "events.jsonl").write_bytes(log[:-5])
    (folder / "stop.json").unlink()
    session = read_session(folder)
    assert (len(session.events), session.torn, session.stop) == (9, True, None)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("events.jsonl", b'"turn":1', b'"turn":0', r"events\.jsonl, line 2: .*turn: .*greater than or equal to 1"),
        ("events.jsonl", b'"seq":2', b'"seq":1', r"events\.jsonl, line 3: event 1 comes after 1"),
        ("events.jsonl", b'"session":"s-1","seq":3', b'"session":"s-2","seq":3', r"line 4: belongs to session s-2"),
        ("events.jsonl", b"\n", b"\n\n", r"events\.jsonl, line 2: Invalid JSON"),
        ("events.jsonl", b"emotion-tracker/1", b"emotion-tracker/9", r"line 1: .*schema"),
        ("start.json", b"session/1", b"session/2", r"start\.json: format"),
        ("start.json", b"{", b"", r"start\.json: Invalid JSON"),
        ("stop.json", b'"events": 10', b'"events": 11', r"holds 10 whole events, but stop\.json says 11"),
        ("stop.json", b"completed", b"complete", r"stop\.json: outcome"),
    ],
)
async def test_damage_is_named_by_file_and_line(folder, file, old, new, message):
    change(folder / file, old, new)
    with pytest.raises(SessionError, match=message):
        read_session(folder)


async def test_damage_is_described_without_what_was_said(folder):
    change(folder / "events.jsonl", b'"ended_by":"pause"', b'"ended_by":"a whim"')
    with pytest.raises(SessionError) as refused:
        read_session(folder)
    assert "whim" not in str(refused.value)
    assert "Hello" not in str(refused.value)


async def test_what_is_no_session_is_refused(folder, tmp_path_factory):
    with pytest.raises(SessionError, match=r"is not a recorded session, there is no start\.json"):
        read_session(tmp_path_factory.mktemp("empty"))
    with pytest.raises(SessionError, match="no such folder; tracker sessions list shows them"):
        read_session(folder / "nowhere")
    (folder / "events.jsonl").unlink()
    with pytest.raises(SessionError, match=r"events\.jsonl: cannot be read \(No such file"):
        read_session(folder)


async def test_keys_of_a_later_writer_are_passed_over(folder):
    change(folder / "start.json", b"{", b'{"purpose": "research",')
    assert read_session(folder).start.source == "telephone.wav"


async def test_gaps_in_the_numbers_are_accepted():
    events = Script().start().end(1)
    log = to_json(events[0]) + "\n" + to_json(events[1].model_copy(update={"seq": 7})) + "\n"
    assert len(parse_events(log.encode(), "s-1", "log")[0]) == 2


async def test_a_replay_ends_where_every_sink_has_ended():
    class Gone:
        name = "gone"

        async def run(self, events):
            async for _ in events:
                return

    async def endless():
        while True:
            await anyio.lowlevel.checkpoint()
            yield conversation()[0]

    with anyio.fail_after(20):
        await publish(endless(), [Gone()], lambda _: None, anyio.Event())
