"""What is left out when turns come faster than they can be judged, in a stated order. Pure: numbers in, a level out.

    normal       everything
    no_ahead     no work ahead of the end of a turn: it may be for nothing
    no_partials  nothing is published of turns that are not over, though work on them had begun
    waiting      nothing more can be left out: turns wait, and every one is judged in its time

A final turn is never lost. A recording waits at its source; a microphone's audio has ten seconds of room before the
oldest goes, which is counted.
"""

from __future__ import annotations

from typing import Literal

Level = Literal["normal", "no_ahead", "no_partials", "waiting"]
LEVELS: tuple[Level, ...] = ("normal", "no_ahead", "no_partials", "waiting")

_FROM_MS = (0.0, 400.0, 1000.0, 3000.0)  # how long the oldest turn has waited; a third of a second is a turn's own work
_CALM = 0.5  # a level ends below this share of where it began, so that it does not flicker
_TURNS = 3  # so many turns at once are a level more than one that waits as long


def level_of(waiting: int, oldest_ms: float, before: Level = "normal") -> Level:
    """How much is to be left out.

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
    if reached < held and weighed_ms >= _FROM_MS[held] * _CALM:
        return before
    return LEVELS[reached]
