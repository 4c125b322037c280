"""A replay that can be paused, sought and sped up: where it is on the clock, and what has been seen until there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import accumulate

import anyio

from tracker.dashboard.screen import Ask, Playing
from tracker.dashboard.view import View, fold
from tracker.events import Event
from tracker.recordings.replay import moment_ns
from tracker.runtime.broadcast import Broadcast
from tracker.runtime.clock import Clock, seconds_to_ns

_SLOWEST, _FASTEST = 1 / 8, 64.0


class Player:
    """Plays one session's events.

    Whoever takes `events` gets each exactly once and in order, the first time that its moment is reached: going back
    shows the past again and publishes nothing twice.

    Args:
        events: Of one session.
        clock: Paces them.
        speed: 1 is as it was.
    """

    def __init__(self, events: Sequence[Event], clock: Clock, speed: float) -> None:
        self._events = events
        self._moments = list(accumulate(map(moment_ns, events), max))
        self._clock = clock
        self._speed = speed
        self._at_ns, self._since_ns = 0, clock.now_ns()
        self._paused = False
        self._changed = Broadcast()
        self._seen = 0  # events in the view
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

    def obey(self, ask: Ask) -> None:
        """Pause, go on, seek or change the speed."""
        self._at_ns, self._since_ns = self.position_ns, self._clock.now_ns()
        match ask.what:
            case "pause":
                self._paused = True
            case "resume":
                self._paused = False
            case "speed":
                self._speed = min(_FASTEST, max(_SLOWEST, self._speed * ask.amount))
            case "seek":
                by_ns = -self.length_ns if ask.amount == float("-inf") else seconds_to_ns(ask.amount)
                self._at_ns = min(self.length_ns, max(0, self._at_ns + by_ns))
        self._changed.notify()

    def look(self) -> tuple[View, Playing]:
        """What has been seen until now, and where that is."""
        position = self.position_ns
        if self._seen and self._moments[self._seen - 1] > position:
            self._seen, self._view = 0, View()
        while self._seen < len(self._events) and self._moments[self._seen] <= position:
            self._view = fold(self._view, self._events[self._seen])
            self._seen += 1
        return self._view, Playing(position, self.length_ns, self._speed, self._paused)

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
