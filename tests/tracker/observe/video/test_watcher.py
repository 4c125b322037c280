"""Pictures that wait for their turn, and those that bring them."""

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.faces import STEP_NS, face, frame_faces, frames, turn
from tests.support.fakes import FakeClock
from tracker.observe.video import buffer as buffer_module
from tracker.observe.video.buffer import FrameBuffer
from tracker.observe.video.records import FrameFaces
from tracker.observe.video.watcher import FileWatcher
from tracker.sources.video import VideoFrame
from tracker.turns.turn import TurnOpened

pytestmark = pytest.mark.anyio


class Reads:
    """Sees a face in each picture, and remembers which pictures there were."""

    def __init__(self) -> None:
        self.at: list[int] = []
        self.closed = 0

    def __call__(self, frame: VideoFrame) -> FrameFaces:
        self.at.append(frame.at_ns // STEP_NS)
        return frame_faces(self.at[-1], face())

    def close(self) -> None:
        self.closed += 1


@settings(max_examples=40)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(0, 60))
def test_a_recordings_turn_sees_all_its_pictures_however_the_sound_comes(pieces, count):
    """Sound in pieces of so many steps, a turn for each piece: whatever runs first, every turn sees the same."""

    async def main() -> None:
        buffer = FrameBuffer(None)
        watcher = FileWatcher("clip", frames(count), Reads(), buffer, FakeClock())
        seen: list[list[int]] = []
        starts = [sum(pieces[:i]) for i in range(len(pieces))]
        async with anyio.create_task_group() as group:
            group.start_soon(watcher.watch)

            async def hear() -> None:
                for start, length in zip(starts, pieces, strict=True):
                    buffer.follow([TurnOpened(start + 1, 0, start * STEP_NS)], start * STEP_NS)
                    watcher.audio_reached((start + length) * STEP_NS)
                    await checkpoint()

            async def observe() -> None:
                for start, length in zip(starts, pieces, strict=True):
                    now = turn(start, start + length - 1, number=start + 1)
                    with anyio.fail_after(10):
                        seen.append([one.at_ns // STEP_NS for one in await buffer.during(now)])
                    buffer.done(now)
                watcher.stop()

            group.start_soon(hear)
            group.start_soon(observe)
        for start, length, indices in zip(starts, pieces, seen, strict=True):
            assert indices == [i for i in range(start, start + length) if i < count]

    anyio.run(main)


async def test_the_last_turn_of_a_recording_waits_for_no_sound_after_it():
    reads, buffer = Reads(), FrameBuffer(None)
    watcher = FileWatcher("clip", frames(50), reads, buffer, FakeClock())
    async with anyio.create_task_group() as group:
        group.start_soon(watcher.watch)
        watcher.audio_reached(21 * STEP_NS - 1)
        with anyio.fail_after(10):
            assert len(await buffer.during(turn(0, 20))) == 21
        watcher.stop()
    assert (watcher.state().source, reads.closed) == ("clip", 1)


async def test_a_recordings_pictures_do_not_run_ahead_of_its_sound():
    reads, buffer = Reads(), FrameBuffer(None)
    watcher = FileWatcher("clip", frames(50), reads, buffer, FakeClock())
    async with anyio.create_task_group() as group:
        group.start_soon(watcher.watch)
        watcher.audio_reached(7 * STEP_NS)
        with anyio.fail_after(10):
            await buffer.during(turn(0, 6))
        assert reads.at == list(range(len(reads.at)))
        assert 7 <= len(reads.at) <= 8
        watcher.stop()


async def test_what_no_turn_can_want_is_let_go(monkeypatch):
    buffer = FrameBuffer(None)
    for index in range(1000):
        buffer.follow([], index * STEP_NS)
        await buffer.put(frame_faces(index, face()))
    assert len(buffer._frames) <= buffer_module._MEMORY_NS // STEP_NS + 1
    # While a turn is under way, what it began with stays.
    buffer.follow([TurnOpened(1, 0, 1000 * STEP_NS)], 1000 * STEP_NS)
    for index in range(1000, 1900):
        buffer.follow([], index * STEP_NS)
        await buffer.put(frame_faces(index, face()))
    assert [one.at_ns for one in buffer._frames][-900:] == [i * STEP_NS for i in range(1000, 1900)]


async def test_a_recording_waits_where_a_camera_makes_room(monkeypatch):
    monkeypatch.setattr(buffer_module, "_MOST", 10)
    recorded, live = FrameBuffer(None), FrameBuffer(0.0)
    for index in range(10):
        await recorded.put(frame_faces(index))
        await live.put(frame_faces(index))
    await live.put(frame_faces(10))
    assert (live.dropped, live._frames[0].at_ns) == (1, STEP_NS)
    with anyio.move_on_after(0) as scope:
        await recorded.put(frame_faces(10))
    assert scope.cancelled_caught
    # A turn that wants what comes is not held up by what nobody wanted.
    async with anyio.create_task_group() as group:
        group.start_soon(recorded.during, turn(10, 11))
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(10):
            for index in (10, 11, 12):
                await recorded.put(frame_faces(index))
    assert recorded.dropped == 0


async def test_a_turn_waits_for_a_camera_so_long_and_no_longer():
    buffer = FrameBuffer(0.0)
    await buffer.put(frame_faces(3, face()))
    with anyio.fail_after(10):
        assert [one.at_ns for one in await buffer.during(turn(0, 9))] == [3 * STEP_NS]
