from contextlib import asynccontextmanager

import anyio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.runtime.clock import NS_PER_MS
from tracker.sources.media import RATE_HZ, AudioChunk
from tracker.sources.pacing import PacedSource

pytestmark = pytest.mark.anyio

START_NS = 7_000_000_007


class ScriptedClock:
    """Time passes only in sleep, which oversleeps, and where the test says so."""

    def __init__(self, oversleep_ns: int = 0) -> None:
        self.now = START_NS
        self.oversleep_ns = oversleep_ns

    def now_ns(self) -> int:
        return self.now

    async def sleep_until_ns(self, moment_ns: int) -> None:
        await anyio.lowlevel.checkpoint()
        if moment_ns > self.now:
            self.now = moment_ns + self.oversleep_ns


class StoppedClock(ScriptedClock):
    """Nobody who sleeps wakes up."""

    async def sleep_until_ns(self, moment_ns: int) -> None:
        await anyio.sleep_forever()


class Recording:
    name, live, channels, dropped = "recording", False, 2, 5

    def __init__(self, lengths: list[int]) -> None:
        self.lengths = lengths
        self.stopped = False

    @asynccontextmanager
    async def open(self):
        async def chunks():
            at = 0
            for length in self.lengths:
                yield AudioChunk(0, at, np.zeros(length, np.float32))
                at += length

        yield chunks()

    def stop(self) -> None:
        self.stopped = True


@given(
    lengths=st.lists(st.integers(1, 5000), min_size=1, max_size=20),
    oversleep_ms=st.integers(0, 50),
    work_ms=st.integers(0, 200),
)
def test_each_chunk_comes_when_its_time_has_passed_and_lateness_does_not_add_up(lengths, oversleep_ms, work_ms):
    async def listen():
        clock = ScriptedClock(oversleep_ms * NS_PER_MS)
        free_ns = START_NS  # when the listener was last done
        async with PacedSource(Recording(lengths), clock).open() as chunks:
            async for chunk in chunks:
                due_ns = START_NS + chunk.end_ns
                assert clock.now == (free_ns if free_ns >= due_ns else due_ns + oversleep_ms * NS_PER_MS)
                clock.now += work_ms * NS_PER_MS
                free_ns = clock.now
        return chunk.start + len(chunk.samples)

    assert anyio.run(listen) == sum(lengths)


async def test_an_hour_takes_an_hour():
    clock = ScriptedClock(oversleep_ns=3 * NS_PER_MS)
    async with PacedSource(Recording([RATE_HZ // 10] * 36_000), clock).open() as chunks:
        async for _ in chunks:
            pass
    assert clock.now - START_NS == 3600 * 1000 * NS_PER_MS + 3 * NS_PER_MS


async def test_stop_does_not_wait_for_the_next_chunk():
    recording = Recording([320, 320])
    source = PacedSource(recording, StoppedClock())
    heard = []

    async def listen():
        async with source.open() as chunks:
            heard.extend([chunk async for chunk in chunks])

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        await anyio.wait_all_tasks_blocked()
        source.stop()
    assert heard == []
    assert recording.stopped


async def test_it_says_of_itself_what_the_recording_says():
    source = PacedSource(Recording([]), ScriptedClock())
    assert (source.name, source.live, source.channels, source.dropped) == ("recording", False, 2, 5)
