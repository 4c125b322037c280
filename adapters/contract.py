"""What training and live use must agree on: the labels, the features, one turn in, one judgement out.

Letters in shapes: ``time`` frames of a feature sequence, ``dim`` its width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

Modality = Literal["text", "audio", "video"]
MODALITIES: tuple[Modality, ...] = ("text", "audio", "video")


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The classes of one emotion vocabulary, in the order of every probability vector.

    Attributes:
        name: For example ``meld``; stored in checkpoints and compared on load.
        labels: The class names; index = class id.
    """

    name: str
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


MELD_LABELS = LabelSet("meld", ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"))


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """Names one kind of feature sequence; a checkpoint refuses features of another kind.

    Attributes:
        name: What made it, for example ``whisper-tiny.en-encoder``.
        version: Raised whenever the same media would give other numbers.
        dim: Width of one frame.
        rate_hz: Frames per second of media.
    """

    name: str
    version: int
    dim: int
    rate_hz: float

    def __str__(self) -> str:
        return f"{self.name} v{self.version} ({self.dim} x {self.rate_hz:g} Hz)"


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """One turn's feature sequence; equal to itself only.

    Attributes:
        spec: What the frames are.
        values: The frames of the turn itself, without padding.
    """

    spec: FeatureSpec
    values: Float32[np.ndarray, "time dim"]


@dataclass(frozen=True, slots=True)
class Absent:
    """Why a modality has nothing to say about a turn: ``camera off``, ``no face``, ``turn under 0.8 s``."""

    reason: str


@dataclass(frozen=True, slots=True)
class Utterance:
    """Who said what. ``text`` is empty where no words were recognised."""

    speaker: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class VoiceProfile:
    """How a speaker sounded in earlier turns, so that a turn can be heard against the speaker's own habits.

    Made by `adapters.readout.voice_summary.remember`; nobody else needs to look inside.

    Attributes:
        turns: How many turns were heard.
        total: The sum of their summaries.
    """

    turns: int
    total: Float32[np.ndarray, " summary"]


@dataclass(frozen=True, slots=True)
class TurnInput:
    """All that the recogniser may know about one turn.

    Attributes:
        utterance: The turn to be judged.
        history: The turns before it, oldest first; never a later one.
        audio: Voice features, or why there are none.
        video: Face features, or why there are none.
        voice: How the speaker sounded before, or None where this is the first turn.
    """

    utterance: Utterance
    history: tuple[Utterance, ...] = ()
    audio: Features | Absent = Absent("not given")
    video: Features | Absent = Absent("not given")
    voice: VoiceProfile | None = None


@dataclass(frozen=True, slots=True)
class EmotionScores:
    """One judgement: calibrated class probabilities and what they rest on.

    Attributes:
        labels: The classes.
        probabilities: One per class, each in [0, 1], summing to 1 (within 1e-4).
        modalities: For each modality ``used`` or the reason why it was not.
        abstained: Why no class should be reported, or None where the top class stands.

    Raises:
        ValueError: The probabilities are not a distribution over the labels.
    """

    labels: LabelSet
    probabilities: tuple[float, ...]
    modalities: Mapping[Modality, str]
    abstained: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is not a distribution, so that no later step has to doubt it."""
        total = math.fsum(self.probabilities)
        inside = all(0.0 <= p <= 1.0 for p in self.probabilities)
        if len(self.probabilities) != len(self.labels) or not inside or abs(total - 1.0) > 1e-4:
            raise ValueError(f"not a distribution over {len(self.labels)} labels: {self.probabilities}")

    @property
    def label(self) -> str:
        """The most probable class (the first of equals)."""
        return self.labels.labels[self.probabilities.index(max(self.probabilities))]

    @property
    def confidence(self) -> float:
        """The probability of ``label``."""
        return max(self.probabilities)
