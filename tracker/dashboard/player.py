"""A replay that can be paused, sought and sped up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import accumulate

import anyio

from tracker.dashboard.screen import ChangeSpeed, KeyRequest, Playback, Seek
from tracker.dashboard.view import View, fold
from tracker.events import Event
from tracker.recordings.replay import moment_ns
from tracker.runtime.broadcast import Broadcast
from tracker.runtime.clock import Clock, seconds_to_ns
from tracker.runtime.control import Pause, Resume

_SLOWEST, _FASTEST = 1 / 8, 64.0


class Player:
    """Plays one session's events.

    `events` gives each event exactly once and in order, the first time that its moment is reached: seeking back shows
    the past again and publishes nothing twice.

    Args:
        events: Of one session.
        clock: Paces them.
        speed: 1 is the original speed.
    """

    def __init__(self, events: Sequence[Event], clock: Clock, speed: float) -> None:
        self._events = events
        self._moments = list(accumulate(map(moment_ns, events), max))
        self._clock = clock
        self._speed = speed
        self._at_ns, self._since_ns = 0, clock.now_ns()
        self._paused = False
        self._changed = Broadcast()
        self._folded = 0  # events in the view
        self._view = View()

    @property
    def length_ns(self) -> int:
        """Media time of the last event."""
        return self._moments[-1] if self._moments else 0

    @property
    def position_ns(self) -> int:
        """Media time that is shown."""
        played = 0 if self._paused else round((self._clock.now_ns() - self._since_ns) * self._speed)
        return min(self.length_ns, self._at_ns + played)

    def request(self, request: KeyRequest) -> None:
        """Pause, resume, seek or change the speed; other requests have no effect."""
        self._at_ns, self._since_ns = self.position_ns, self._clock.now_ns()
        match request:
            case Pause():
                self._paused = True
            case Resume():
                self._paused = False
            case ChangeSpeed(factor):
                self._speed = min(_FASTEST, max(_SLOWEST, self._speed * factor))
            case Seek(seconds):
                by_ns = -self.length_ns if seconds == float("-inf") else seconds_to_ns(seconds)
                self._at_ns = min(self.length_ns, max(0, self._at_ns + by_ns))
        self._changed.notify()

    def read(self) -> tuple[View, Playback]:
        """The session up to the present position, and the state of the replay."""
        position = self.position_ns
        if self._folded and self._moments[self._folded - 1] > position:
            self._folded, self._view = 0, View()
        while self._folded < len(self._events) and self._moments[self._folded] <= position:
            self._view = fold(self._view, self._events[self._folded])
            self._folded += 1
        return self._view, Playback(position, self.length_ns, self._speed, self._paused)

    async def events(self) -> AsyncIterator[Event]:
        """Each event when its moment is reached."""
        for event, moment in zip(self._events, self._moments, strict=True):
            while self.position_ns < moment:
                await self._wait(moment)
            yield event

    async def _wait(self, moment: int) -> None:
        """Return when a moment may have been reached, or something has changed."""
        if self._paused:
            await self._changed.wait()
            return
        async with anyio.create_task_group() as group:

            async def sleep() -> None:
                left_ns = max(1, round((moment - self.position_ns) / self._speed))
                await self._clock.sleep_until_ns(self._clock.now_ns() + left_ns)
                group.cancel_scope.cancel()

            group.start_soon(sleep, name="replay pace")
            await self._changed.wait()
            group.cancel_scope.cancel()
