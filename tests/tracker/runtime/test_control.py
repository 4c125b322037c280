"""Pausing, marking and renaming, through the pipeline and through the sources."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import INFO, Collect, FakeClock, FakeSource, outlets, stamp, steps
from tracker.errors import RequestError
from tracker.events import (
    ListeningPaused,
    ListeningResumed,
    MomentMarked,
    SpeakerRenamed,
    Stamp,
    TurnEnded,
    TurnStarted,
    from_json,
    to_json,
)
from tracker.metrics.gauges import Gauges, Status, decibels
from tracker.pipeline import Outlets, run
from tracker.runtime.clock import NS_PER_MS
from tracker.runtime.control import (
    MAX_NAME_LENGTH,
    MAX_NOTE_LENGTH,
    REQUEST_NAMES,
    Control,
    Mark,
    Pause,
    Rename,
    Resume,
    Stop,
    decode,
    encode,
)
from tracker.sources.media import Pausable
from tracker.sources.pacing import PacedSource

pytestmark = pytest.mark.anyio

TURN = "....##########........"


async def session(at, pattern=TURN * 3, gauges=None):
    control, collect = Control(), Collect()
    source = FakeSource(pattern, at={index: (lambda do=do: do(control)) for index, do in at.items()})
    out = outlets(collect) if gauges is None else Outlets([collect], None, print, gauges)
    with anyio.fail_after(20):
        await run(source, lambda _: steps(), out, INFO, FakeClock(), control)
    assert [event.seq for event in collect.events] == list(range(len(collect.events)))
    assert [from_json(to_json(event)) for event in collect.events] == collect.events
    return collect.events


def requests():
    notes, names = st.text(max_size=MAX_NOTE_LENGTH), st.text(max_size=MAX_NAME_LENGTH).filter(printable)
    return st.one_of(
        st.sampled_from([Pause(), Resume(), Stop()]), st.builds(Mark, notes), st.builds(Rename, names, names)
    )


def printable(text):
    return any(character.isprintable() and character != " " for character in text)


@given(requests())
def test_a_request_survives_the_wire(request):
    name, payload = encode(request)
    assert decode(name, payload.encode()) == request


@given(st.sampled_from(REQUEST_NAMES), st.binary(max_size=300))
def test_whatever_a_payload_holds_its_texts_are_short_and_printable(name, payload):
    try:
        request = decode(name, payload)
    except RequestError:
        return
    texts = {"note": MAX_NOTE_LENGTH, "speaker": MAX_NAME_LENGTH, "name": MAX_NAME_LENGTH}
    for field, limit in texts.items():
        text = getattr(request, field, "")
        assert len(text) <= limit
        assert not text or (text.isprintable() and text == text.strip())


@pytest.mark.parametrize(
    ("name", "payload", "error"),
    [
        ("mark", b"\xff", "the note must be UTF-8 text"),
        ("mark", b"x" * 201, "the note must not exceed 200 characters; it has 201"),
        ("rename", b"Ada", "the payload must be JSON"),
        ("rename", b'{"speaker": "Speaker 1"}', "the payload must be JSON"),
        ("rename", b'{"speaker": "Speaker 1", "name": 7}', "the payload must be JSON"),
        ("rename", b'{"speaker": "Speaker 1", "name": " "}', "the name must not be empty"),
        ("rename", b'{"speaker": "", "name": "Ada"}', "the speaker must not be empty"),
        ("rename", b'{"speaker": "Speaker 1", "name": "%s"}' % (b"x" * 81), "the name must not exceed 80 characters"),
        ("dance", b"", "'dance' is not a request; expected one of pause, resume, stop, mark, rename"),
    ],
)
def test_a_malformed_request_is_refused_with_the_reason(name, payload, error):
    with pytest.raises(RequestError, match=error):
        decode(name, payload)


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


async def test_a_pause_ends_the_turn_under_way_and_is_told():
    events = await session({10: lambda control: [*map(control.request, (Pause(), Pause(), Resume()))]})
    (paused,), (resumed,) = only(events, ListeningPaused), only(events, ListeningResumed)
    assert paused.at_ns == resumed.at_ns == 10 * 20 * NS_PER_MS
    assert resumed.paused_ms > 0
    ended = only(events, TurnEnded)
    assert ended[0].end_ns <= paused.at_ns
    assert len(ended) == len(only(events, TurnStarted))
    # Media time stands still meanwhile, wall time does not.
    assert resumed.time > paused.time
    assert only(events, TurnStarted)[-1].start_time > resumed.time


async def test_while_paused_nothing_is_heard_and_it_can_be_ended():
    gauges = Gauges()
    control, collect = Control(), Collect()
    source = FakeSource(TURN, endless=True, at={5: lambda: control.request(Pause())})
    async with anyio.create_task_group() as group:

        async def end():
            await anyio.wait_all_tasks_blocked()
            heard = gauges.read()
            assert heard.paused
            await anyio.wait_all_tasks_blocked()
            assert gauges.read().media_ns == heard.media_ns
            control.stop()

        group.start_soon(end)
        with anyio.fail_after(20):
            out = Outlets([collect], None, print, gauges)
            last = await run(source, lambda _: steps(), out, INFO, FakeClock(), control)
    assert last.outcome == "stopped"
    assert last.media_ns <= 7 * 20 * NS_PER_MS


def test_a_request_that_would_be_lost_is_refused_and_stopping_never_is():
    control = Control()
    for _ in range(control.requests.capacity):
        control.request(Mark("this one is kept"))
    with pytest.raises(RequestError, match=r"^busy, 100 requests wait; try again$"):
        control.request(Mark("this one is not"))
    control.request(Stop())
    assert control.drained.is_set()
    assert (control.requests.depth, control.requests.dropped) == (100, 0)


async def test_a_marked_moment():
    events = await session(
        {4: lambda control: control.request(Mark()), 30: lambda control: control.request(Mark("look here"))}
    )
    assert [(event.at_ns // (20 * NS_PER_MS), event.note) for event in only(events, MomentMarked)] == [
        (4, ""),
        (30, "look here"),
    ]


async def test_a_name_is_told_and_kept_in_later_turns():
    events = await session({30: lambda control: control.request(Rename("Speaker 1", " Anna "))})
    (renamed,) = only(events, SpeakerRenamed)
    assert (renamed.speaker, renamed.name) == ("Speaker 1", "Anna")
    names = {event.speaker_name for event in only(events, TurnEnded) if event.seq > renamed.seq}
    assert names == {"Anna"}
    assert {event.speaker for event in only(events, TurnEnded)} == {"Speaker 1"}


async def test_the_gauges_tell_how_loud_it_is_and_what_waits():
    gauges = Gauges()
    seen: list[Status] = []
    await session({10: lambda _: seen.append(gauges.read())}, gauges=gauges)
    assert seen[0].levels_db == (pytest.approx(decibels(0.9), abs=0.001),)
    assert {queue.name for queue in seen[0].queues} == {"chunks", "turns", "observed", "judged", "collect"}
    assert (seen[0].dropped, seen[0].failed_sinks) == (0, ())
    assert gauges.read().failed_sinks == ()


def test_wall_time_goes_on_while_media_time_stands_still():
    made = stamp()
    assert isinstance(made, Stamp)
    made.paused(1000 * NS_PER_MS, 5000 * NS_PER_MS)
    assert made.wall(1000 * NS_PER_MS).endswith("06.000Z")
    assert made.wall(2000 * NS_PER_MS).endswith("12.000Z")


async def test_a_paced_file_stands_still():
    clock = FakeClock()
    paced = PacedSource(FakeSource("#" * 50), clock)
    assert isinstance(paced, Pausable)
    heard = []

    async def listen():
        async with paced.open() as chunks:
            async for chunk in chunks:
                heard.append(chunk.start)
                if len(heard) == 10:
                    paced.pause()

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        await anyio.wait_all_tasks_blocked()
        assert len(heard) == 10
        paused_ns = clock.now
        clock.now += 3_600_000 * NS_PER_MS
        paced.resume()
    assert len(heard) == 50
    # The rest is paced from where it went on: 40 frames of 20 ms, and not all at once.
    assert clock.now - paused_ns >= 3_600_000 * NS_PER_MS + 40 * 20 * NS_PER_MS
