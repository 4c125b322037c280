"""Pausing, marking and renaming, through the pipeline and through the sources."""

import anyio
import pytest

from tests.support.fakes import Collect, FakeClock, FakeSource, header, outlets, stamp, steps
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
from tracker.runtime.control import Control
from tracker.sources.media import Pausable
from tracker.sources.pacing import PacedSource

pytestmark = pytest.mark.anyio

TURN = "....##########........"


async def session(at, pattern=TURN * 3, gauges=None):
    control, collect = Control(), Collect()
    source = FakeSource(pattern, at={index: (lambda do=do: do(control)) for index, do in at.items()})
    out = outlets(collect) if gauges is None else Outlets([collect], None, print, gauges)
    with anyio.fail_after(20):
        await run(source, lambda _: steps(), out, header, stamp, FakeClock(), control)
    assert [event.seq for event in collect.events] == list(range(len(collect.events)))
    assert [from_json(to_json(event)) for event in collect.events] == collect.events
    return collect.events


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


async def test_a_pause_ends_the_turn_under_way_and_is_told():
    control_pause = {10: lambda control: (control.pause(), control.pause(), control.resume())}
    events = await session(control_pause)
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
    source = FakeSource(TURN, endless=True, at={5: control.pause})
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
            last = await run(source, lambda _: steps(), out, header, stamp, FakeClock(), control)
    assert last.outcome == "stopped"
    assert last.media_ns <= 7 * 20 * NS_PER_MS


async def test_a_marked_moment():
    events = await session({4: lambda control: control.mark(), 30: lambda control: control.mark("look here")})
    assert [(event.at_ns // (20 * NS_PER_MS), event.note) for event in only(events, MomentMarked)] == [
        (4, ""),
        (30, "look here"),
    ]


async def test_a_name_is_told_and_kept_in_later_turns():
    events = await session({30: lambda control: (control.rename("Speaker 1", " Anna "), control.rename("x", " "))})
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
    assert (seen[0].dropped, seen[0].gave_up) == (0, ())
    assert gauges.read().gave_up == ()


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
