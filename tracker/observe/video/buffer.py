"""The faces of recent frames, kept until the turn that they belong to is observed. In the event loop only."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import anyio

from tracker.observe.video.records import FrameFaces
from tracker.runtime.broadcast import Broadcast
from tracker.runtime.clock import NS_PER_S
from tracker.turns.turn import Turn, TurnOpened

_MEMORY_NS = 60 * NS_PER_S  # longer than any turn and the silence after it
_MOST = 4500  # frames: a quarter of an hour at 5 a second, some megabytes for each face


class FrameBuffer:
    """Frames by media time.

    A recording's frames follow its audio, and a turn waits until they have reached its end. For a camera's frames a
    turn waits a limited time.

    Args:
        timeout_s: How long a turn waits for its last frames, seconds; None for as long as it takes.

    Attributes:
        dropped: Frames that made room for newer ones before their turn was observed.
    """

    def __init__(self, timeout_s: float | None) -> None:
        self.dropped = 0
        self._timeout_s = timeout_s
        self._frames: deque[FrameFaces] = deque()
        self._audio_ns = self._wanted_ns = self._complete_ns = self._keep_from_ns = -1
        self._open: set[int] = set()  # turns
        self._ended = False
        self._changed = Broadcast()

    def audio_reached(self, media_ns: int) -> None:
        """Let frames follow the audio up to a media time."""
        if media_ns > self._audio_ns:
            self._audio_ns = media_ns
            self._changed.notify()

    async def wait_for_audio(self, media_ns: int) -> None:
        """Wait until the audio has reached the next frame's media time."""
        self._complete_until(media_ns)
        while max(self._audio_ns, self._wanted_ns) < media_ns:
            await self._changed.wait()

    async def put(self, frame: FrameFaces) -> None:
        """Keep a frame if a turn may need it; where nothing may be lost, wait for room."""
        while self._timeout_s is None and self._full and frame.at_ns > self._wanted_ns:
            await self._changed.wait()
        if self._full and self._timeout_s is not None:
            self._frames.popleft()
            self.dropped += 1
        if frame.at_ns >= self._keep_from_ns:
            self._frames.append(frame)
        self._complete_until(frame.at_ns + 1)

    def end(self) -> None:
        """No more frames will come."""
        self._ended = True
        self._changed.notify()

    def follow(self, records: Iterable[object], media_ns: int) -> None:
        """Note the turns that begin; while no turn is open, forget frames from long before this media time."""
        self._open.update(record.number for record in records if isinstance(record, TurnOpened))
        if not self._open:
            self._forget(media_ns - _MEMORY_NS)

    def done(self, turn: Turn) -> None:
        """A turn is over and observed."""
        self._open.discard(turn.number)

    async def during(self, turn: Turn) -> list[FrameFaces]:
        """The frames of a turn."""
        self._wanted_ns = max(self._wanted_ns, turn.end_ns)
        self._forget(turn.end_ns - _MEMORY_NS)
        with anyio.move_on_after(self._timeout_s):
            while self._complete_ns < turn.end_ns and not self._ended:
                await self._changed.wait()
        return [frame for frame in self._frames if turn.start_ns <= frame.at_ns < turn.end_ns]

    @property
    def _full(self) -> bool:
        return len(self._frames) >= _MOST

    def _forget(self, before_ns: int) -> None:
        self._keep_from_ns = max(self._keep_from_ns, before_ns)
        while self._frames and self._frames[0].at_ns < self._keep_from_ns:
            self._frames.popleft()
        self._changed.notify()

    def _complete_until(self, media_ns: int) -> None:
        self._complete_ns = max(self._complete_ns, media_ns)
        self._changed.notify()
