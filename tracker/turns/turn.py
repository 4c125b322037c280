"""The records of step 2."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from tracker.turns.segmenter import EndedBy


@dataclass(frozen=True, slots=True)
class TurnOpened:
    """Somebody has begun to speak.

    Attributes:
        number: Counts the session's turns from 1.
        channel: The audio channel.
        start_ns: Media time of the turn's first sample, lead-in included.
    """

    number: int
    channel: int
    start_ns: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One stretch of speech, over and cut out.

    Attributes:
        number: That of its `TurnOpened`.
        channel: The audio channel.
        start_ns: Media time of the first sample.
        end_ns: Media time just after the last sample: the end of speech, a little hangover included.
        decided_ns: Media time at which the turn was known to be over.
        ended_by: What ended it.
        voiced_ns: How much of it is speech.
        samples: The turn's audio, mono, 16 kHz, in [-1, 1].
        decided_at_ns: The monotonic clock when the decision fell, stamped by the pipeline; not media time.
        overlap_ns: How much of it two people spoke at once.
        before: What was heard right before a turn that began by a change of speaker, for whoever must hear the
            beginning of its first word.
        after: What was heard right after a turn that was cut short, for whoever must hear the end of its last word.
    """

    number: int
    channel: int
    start_ns: int
    end_ns: int
    decided_ns: int
    ended_by: EndedBy
    voiced_ns: int
    samples: Float32[np.ndarray, " samples"]
    decided_at_ns: int = 0
    overlap_ns: int = 0
    before: Float32[np.ndarray, " samples"] = field(default_factory=lambda: np.zeros(0, np.float32))
    after: Float32[np.ndarray, " samples"] = field(default_factory=lambda: np.zeros(0, np.float32))

    @property
    def span(self) -> tuple[int, int, int]:
        """Number, start and end: two turns of the same span hold the same audio."""
        return self.number, self.start_ns, self.end_ns

    @property
    def heard(self) -> tuple[int, int, int, int]:
        """The span, and how much was heard after it."""
        return *self.span, len(self.after)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return (self.end_ns - self.start_ns) / 1e9


@dataclass(frozen=True, slots=True)
class TurnPaused:
    """Speech has stopped, or somebody else seems to have begun to speak; the latest of a turn counts.

    Attributes:
        turn: What the turn will be if it ends here; that is not decided yet.
    """

    turn: Turn


@dataclass(frozen=True, slots=True)
class TurnProgress:
    """The speaker of a turn goes on.

    Attributes:
        turn: What was heard of it so far.
    """

    turn: Turn


@dataclass(frozen=True, slots=True)
class TurnResumed:
    """The speaker of a turn went on after a pause.

    Attributes:
        number: The turn's.
    """

    number: int


@dataclass(frozen=True, slots=True)
class ChannelRepeats:
    """A channel has what another one has; where it does, it is not listened to.

    Attributes:
        channel: The channel.
        of: The one that it repeats.
        level_db: By how much louder.
        lag_ms: How much later.
    """

    channel: int
    of: int
    level_db: float
    lag_ms: int


TurnRecord = TurnOpened | TurnProgress | TurnPaused | TurnResumed | Turn | ChannelRepeats
