"""What is left out when turns come faster than they can be judged, in a fixed order.

    normal          nothing
    no_speculation  speculative work on turns that may not be over
    no_partials     events about turns that are not over, even where work on them has begun
    waiting         nothing more can be left out: turns wait, and every one is judged in its time

A final turn is never lost. A recording waits at its source; a microphone's audio has ten seconds of room before the
oldest is dropped, which is counted.
"""

from __future__ import annotations

from typing import Literal

from tracker.runtime.clock import NS_PER_MS, Clock

Level = Literal["normal", "no_speculation", "no_partials", "waiting"]
LEVELS: tuple[Level, ...] = ("normal", "no_speculation", "no_partials", "waiting")

_FROM_MS = (0.0, 400.0, 1000.0, 3000.0)  # how long the oldest turn has waited; a third of a second is a turn's own work
_HYSTERESIS = 0.5  # a level ends below this share of where it began, so that it does not flicker
_TURNS = 3  # so many turns at once are a level more than one that waits as long


def level_of(waiting: int, oldest_ms: float, before: Level = "normal") -> Level:
    """How much is to be left out. Pure.

    Args:
        waiting: Turns that are over and not yet published, in all sessions of the process.
        oldest_ms: How long the oldest of them has been over.
        before: The level until now.
    """
    if waiting == 0:
        return "normal"
    weighed_ms = oldest_ms * max(1.0, waiting / _TURNS)
    reached = max(number for number, from_ms in enumerate(_FROM_MS) if weighed_ms >= from_ms)
    held = LEVELS.index(before)
    if reached < held and weighed_ms >= _FROM_MS[held] * _HYSTERESIS:
        return before
    return LEVELS[reached]


class LoadMonitor:
    """Counts the turns that wait to be published, over all sessions of a process.

    Args:
        clock: Tells how long a turn has waited.

    Attributes:
        level: As of the last `update`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._decided_ns: dict[tuple[object, int], int] = {}
        self.level: Level = "normal"

    def turn_decided(self, session: object, number: int, decided_at_ns: int) -> None:
        """A turn is over and waits from now on.

        Args:
            session: Whose turn.
            number: The turn's.
            decided_at_ns: When its end was decided, on the monotonic clock.
        """
        self._decided_ns[session, number] = decided_at_ns

    def turn_published(self, session: object, number: int) -> None:
        """A turn waits no longer."""
        self._decided_ns.pop((session, number), None)

    def session_ended(self, session: object) -> None:
        """Forget a session's turns."""
        self._decided_ns = {key: moment for key, moment in self._decided_ns.items() if key[0] is not session}

    @property
    def waiting(self) -> int:
        """Turns that are over and not yet published."""
        return len(self._decided_ns)

    def update(self) -> Level:
        """How much is to be left out now."""
        now_ns = self._clock.now_ns()
        oldest_ms = (now_ns - min(self._decided_ns.values(), default=now_ns)) / NS_PER_MS
        self.level = level_of(self.waiting, oldest_ms, self.level)
        return self.level

    def may_speculate(self) -> bool:
        """Whether there is time for work that may be wasted."""
        return self.update() == "normal"

    def may_publish_partials(self) -> bool:
        """Whether there is time to publish turns that are not over."""
        return self.update() in ("normal", "no_speculation")
