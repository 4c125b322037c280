"""How long a silence ends a turn, where that depends on whether the turn sounds complete: a pure rule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """The silence to wait for, in frames: short where the speaker seems to have finished, long where not.

    Two steps end fewer turns too early than a straight line between the same bounds, at the same mean wait
    (``python -m tests.tracker.endpoints``).

    Attributes:
        shortest: Where the turn sounds complete.
        longest: Where it does not.
        complete_above: The probability of being complete above which it sounds so.
    """

    shortest: int
    longest: int
    complete_above: float

    def silence(self, complete: float) -> int:
        """Frames of silence after which a turn that is complete with this probability is over."""
        return self.shortest if complete > self.complete_above else self.longest
