"""What training and live use must agree on: the labels, the features, one turn in, its emotion scores out.

Where pulled models are and what errors are called is agreed on here, too, so that the tracker imports nothing else.

Letters in shapes: ``time`` frames of a feature sequence, ``dim`` its width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, Self, runtime_checkable

import numpy as np
from jaxtyping import Float32

from adapters.assets import asset_folder, cache_root
from adapters.errors import AdapterError

__all__ = [
    "EMOTIONAL",
    "MELD_LABELS",
    "MODALITIES",
    "NEGATIVE",
    "NEUTRAL",
    "POSITIVE",
    "SOUNDS",
    "SURPRISE",
    "Absent",
    "AdapterError",
    "DialogueModel",
    "DialogueState",
    "EmotionScores",
    "Estimate",
    "FeatureSpec",
    "Features",
    "LabelSet",
    "Modality",
    "Polarity",
    "Recogniser",
    "Sentiment",
    "TurnInput",
    "Utterance",
    "asset_folder",
    "cache_root",
]

Modality = Literal["text", "audio", "video"]
MODALITIES: tuple[Modality, ...] = ("text", "audio", "video")


Sentiment = Literal["negative", "neutral", "positive"]


@dataclass(frozen=True, slots=True)
class Polarity:
    """How often an emotion goes with each sentiment.

    Attributes:
        negative: Share in [0, 1].
        neutral: Likewise.
        positive: Likewise; the three add up to 1 (within 1e-4).

    Raises:
        ValueError: They do not.
    """

    negative: float = 0.0
    neutral: float = 0.0
    positive: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is not a distribution."""
        shares = (self.negative, self.neutral, self.positive)
        if not all(0.0 <= share <= 1.0 for share in shares) or abs(math.fsum(shares) - 1.0) > 1e-4:
            raise ValueError(f"not a distribution over negative, neutral and positive: {shares}")


NEGATIVE, NEUTRAL, POSITIVE = Polarity(negative=1.0), Polarity(neutral=1.0), Polarity(positive=1.0)
SURPRISE = Polarity(negative=614 / 1205, positive=591 / 1205)
"""By the sentiment of MELD's 1205 training utterances that are labelled surprise."""


MOST_LABELS = 200
"""In one label set."""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The classes of one emotion vocabulary, in the order of every probability vector.

    Attributes:
        name: For example ``meld``; stored in checkpoints and compared on load.
        labels: The class names, each different; index = class id.
        polarity: The sentiment of each class.

    Raises:
        ValueError: There are no labels, or more than `MOST_LABELS`, or two are the same, or there are not as many
            polarities.
    """

    name: str
    labels: tuple[str, ...]
    polarity: tuple[Polarity, ...]

    def __post_init__(self) -> None:
        """Refuse what could not be published."""
        if len(self.labels) > MOST_LABELS:
            raise ValueError(f"there may be {MOST_LABELS} labels at most, not {len(self.labels)}")
        if not self.labels or len(set(self.labels)) != len(self.labels) or len(self.polarity) != len(self.labels):
            raise ValueError(f"different labels with one polarity each are needed, not {self.labels}, {self.polarity}")

    @classmethod
    def of(cls, name: str, polarity: Mapping[str, Polarity]) -> Self:
        """A label set from the polarity of each label, in the order of class ids."""
        return cls(name, tuple(polarity), tuple(polarity.values()))

    def __len__(self) -> int:
        return len(self.labels)


MELD_LABELS = LabelSet.of(
    "meld",
    {
        "neutral": NEUTRAL,
        "surprise": SURPRISE,
        "fear": NEGATIVE,
        "sadness": NEGATIVE,
        "joy": POSITIVE,
        "disgust": NEGATIVE,
        "anger": NEGATIVE,
    },
)


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """Names one kind of feature sequence; a checkpoint refuses features of another kind.

    Attributes:
        name: What made it, for example ``whisper-base-encoder``.
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
    """A speaker and the words; ``text`` is empty where no words were recognised."""

    speaker: str
    text: str


SOUNDS = ("laughter", "crying", "sigh", "gasp", "scream", "cough")
"""The sounds beside words that are told apart."""
EMOTIONAL = ("laughter", "crying", "scream")
"""Those of them that tell of an emotion; `adapters.readout.sounds` says of which."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound that somebody makes beside words.

    Attributes:
        label: One of `SOUNDS`.
        start_s: Where it begins, in seconds since the turn's start.
        end_s: Where it ends.
        confidence: In [0.5, 1): 0.5 where the evidence just suffices, and more as it is clearer.
    """

    label: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class TurnInput:
    """One turn and the dialogue before it.

    Attributes:
        utterance: The turn to classify.
        history: The turns before it, oldest first; never a later one.
        audio: Voice features, or why there are none.
        video: Face features, or why there are none.
        sounds: What is heard in it beside words.
    """

    utterance: Utterance
    history: tuple[Utterance, ...] = ()
    audio: Features | Absent = Absent("not given")
    video: Features | Absent = Absent("not given")
    sounds: tuple[Sound, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """Where a turn lies between the two ends of a dimension of affect, such as valence.

    Attributes:
        value: From -1 to 1.
        low: The lower end of the interval that holds the truth as often as the adapter's card says, from -1 to 1.
        high: The upper end.

    Raises:
        ValueError: They are not in that order, or outside of -1 to 1.
    """

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse what is no interval around a value."""
        if not -1.0 <= self.low <= self.value <= self.high <= 1.0:
            raise ValueError(f"a value within an interval from -1 to 1 is wanted, not {self}")


_NEARLY = 0.8  # of the highest probability: closer ones are not told apart


@dataclass(frozen=True, slots=True)
class EmotionScores:
    """Calibrated class probabilities of one turn, and the modalities that they rest on.

    Attributes:
        labels: The classes.
        probabilities: One per class, each in [0, 1], summing to 1 (within 1e-4).
        modalities: For each modality ``used`` or the reason why it was not.
        abstained: Why no class should be reported, or None where the top class stands.
        dimensions: Where the turn lies in each dimension that was asked for and can be told, by name.

    Raises:
        ValueError: The probabilities are not a distribution over the labels.
    """

    labels: LabelSet
    probabilities: tuple[float, ...]
    modalities: Mapping[Modality, str]
    abstained: str | None = None
    dimensions: Mapping[str, Estimate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is not a distribution, so that no later step has to doubt it."""
        object.__setattr__(self, "probabilities", tuple(map(float, self.probabilities)))  # of any sequence
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

    @property
    def mixed(self) -> tuple[str, ...]:
        """The classes that are nearly as probable as ``label``, it first; none where it stands out."""
        by_name = sorted(zip(self.probabilities, self.labels.labels, strict=True), key=lambda one: -one[0])
        near = tuple(name for probability, name in by_name if probability >= _NEARLY * self.confidence)
        return near if len(near) > 1 else ()

    @property
    def sentiment(self) -> Sentiment:
        """The most probable sentiment, from the polarity of each class (neutral, then negative, among equals)."""
        pairs = list(zip(self.probabilities, self.labels.polarity, strict=True))
        shares: dict[Sentiment, float] = {
            "neutral": math.fsum(p * polarity.neutral for p, polarity in pairs),
            "negative": math.fsum(p * polarity.negative for p, polarity in pairs),
            "positive": math.fsum(p * polarity.positive for p, polarity in pairs),
        }
        return max(shares, key=lambda name: shares[name])


class DialogueState:
    """What a recogniser remembers of a dialogue; only the recogniser that made it looks inside.

    A state is a value and equal to itself only: keeping an older one forgets what came after it.
    """

    __slots__ = ()


class DialogueModel(Protocol):
    """Classifies the turns of dialogues one after the other; called from one thread at a time.

    Attributes:
        labels: The classes.
    """

    @property
    def labels(self) -> LabelSet: ...  # noqa: D102

    def start(self) -> DialogueState:
        """The state of a dialogue before its first turn."""

    def follow(self, turn: TurnInput, state: DialogueState) -> tuple[EmotionScores, DialogueState]:
        """Classify the next turn of a dialogue; the given state is left as it is.

        Args:
            turn: With its history.
            state: From `start`, or from the turn before.

        Returns:
            The scores, and the state to go on from if this turn turns out to be the next one.
        """


@runtime_checkable
class Recogniser(DialogueModel, Protocol):
    """A loaded adapter: a model of dialogues, and what the tracker has to know about it.

    Attributes:
        adapter_id: Name and version of the trained part, for events.
        backbone_id: Name and version of the frozen part, for events.
        feature_specs: The features that each modality must bring; a modality that is missing here is not read.
        max_tokens: Tokens that a history and its turn may have together; the beginning of a longer one is not read.
    """

    @property
    def adapter_id(self) -> str: ...  # noqa: D102

    @property
    def backbone_id(self) -> str: ...  # noqa: D102

    @property
    def feature_specs(self) -> Mapping[Modality, FeatureSpec]: ...  # noqa: D102

    @property
    def max_tokens(self) -> int: ...  # noqa: D102

    def count_tokens(self, utterance: Utterance) -> int:
        """Tokens that an utterance takes in a dialogue, for bounding a history."""

    def emotions(self, scores: EmotionScores) -> tuple[str, ...]:
        """The conformal set of a turn: emotions among which the true one is with a known probability.

        Args:
            scores: From this recogniser.

        Returns:
            Their names, the most probable first.

        Raises:
            AdapterError: The adapter has no conformal sets.
        """


@dataclass(frozen=True, slots=True)
class RecogniserOptions:
    """What a recogniser is made from.

    Attributes:
        adapter: Which one, in the words of its kind: a folder, a name, ``hf:owner/name``.
        backbones: Folders of LLMs, by the names that adapters give them; another one is looked for by its name.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: Threads of one operation on the CPU; None: the library's choice.
        abstain_below: Confidence under which no class is reported, in [0, 1].
        dimensions: Adapters for dimensions of affect, in the words of its kind.
    """

    adapter: str = "default"
    backbones: Mapping[str, Path] = field(default_factory=dict)
    device: str = "auto"
    threads: int | None = None
    abstain_below: float = 0.0
    dimensions: tuple[str, ...] = ()


class RecogniserFactory(Protocol):
    """Makes a recogniser: what an entry point in ``emotion_tracker.recognisers`` names."""

    def __call__(self, options: RecogniserOptions) -> Recogniser:
        """The recogniser, loaded.

        Raises:
            AdapterError: It cannot be loaded.
        """
