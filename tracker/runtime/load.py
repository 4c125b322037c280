"""How many turns of the process wait to be judged, and what is left out because of it."""

from __future__ import annotations

from tracker.runtime.clock import NS_PER_MS, Clock
from tracker.runtime.overload import Level, level_of
from tracker.turns.turn import Turn


class Load:
    """Shared by the sessions of one process.

    Args:
        clock: Tells how long a turn has waited.

    Attributes:
        level: As of the last look.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._over: dict[tuple[object, int], int] = {}
        self.level: Level = "normal"

    def over(self, session: object, turn: Turn) -> None:
        """A turn is over; from now on it waits."""
        self._over[session, turn.number] = turn.decided_at_ns

    def published(self, session: object, turn: Turn) -> None:
        """What became of a turn is published."""
        self._over.pop((session, turn.number), None)

    def leave(self, session: object) -> None:
        """A session has ended."""
        for key in [key for key in self._over if key[0] is session]:
            del self._over[key]

    @property
    def waiting(self) -> int:
        """Turns that are over and not yet published."""
        return len(self._over)

    def look(self) -> Level:
        """How much is to be left out now."""
        now_ns = self._clock.now_ns()
        oldest_ms = (now_ns - min(self._over.values(), default=now_ns)) / NS_PER_MS
        self.level = level_of(len(self._over), oldest_ms, self.level)
        return self.level

    def may_work_ahead(self) -> bool:
        """Whether there is time for work that may be for nothing."""
        return self.look() == "normal"

    def may_tell_partials(self) -> bool:
        """Whether there is time for turns that are not over."""
        return self.look() in ("normal", "no_ahead")
