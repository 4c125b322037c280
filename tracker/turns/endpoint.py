"""How long a silence ends a turn, where that depends on whether the turn sounds complete. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EndpointRule:
    """The silence to wait for, in frames: short where the speaker seems to have finished, long where not.

    Two steps, not a straight line from ``longest`` to ``shortest``: on a telephone call and three meetings, each cut
    four turns at its best, the steps after 0.66 s of silence on average, the line (from 0.5 on) after 0.77 s.

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
