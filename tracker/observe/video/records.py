"""The records of the video: what is read from a frame, and what a turn's frames give. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from adapters.contract import Absent, Features

NoFace = Literal["no face", "face too small", "too dark", "camera off"]
STILL = "still picture"
"""Why a turn has no face where all it shows is a picture that does not change."""
ChosenBy = Literal["only", "mouth", "speaker", "size"]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in an image, in pixels; may reach beyond the image."""

    left: float
    top: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """In square pixels."""
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        """X and y."""
        return self.left + self.width / 2, self.top + self.height / 2


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, in [0, 1] whatever the rounding."""
    wide = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    high = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    if wide <= 0 or high <= 0:
        return 0.0
    return min(1.0, wide * high / (a.area + b.area - wide * high))


@dataclass(frozen=True, slots=True, eq=False)
class FaceDetection:
    """A face found in an image.

    Attributes:
        box: Around it, in pixels of the image.
        points: Left eye, right eye, nose, left and right corner of the mouth (left in the image): x and y in pixels.
        score: In [0, 1].
    """

    box: Box
    points: Float32[np.ndarray, "5 2"]
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFace:
    """A face in one frame.

    Attributes:
        track: Which face it is, over the session.
        box: Where, in pixels.
        motion: By how many grey levels the mouth changed since the frame before, more than the upper face did.
        features: Of its expression (`adapters.features.visual`).
    """

    track: int
    box: Box
    motion: float
    features: Float32[np.ndarray, " dim"]


@dataclass(frozen=True, slots=True)
class Stillness:
    """How long a picture has not changed.

    Attributes:
        since_ns: Media time of the first picture like it.
        moves: Whether pictures have changed all the time until it; False where that is not known yet.
    """

    since_ns: int
    moves: bool


@dataclass(frozen=True, slots=True, eq=False)
class FrameFaces:
    """The faces of one frame.

    Attributes:
        at_ns: Media time.
        faces: Those that are large enough, the largest first.
        no_face: Why there are none; None where there are some.
        boxes: Of every detected face, those too small included.
        stillness: Of the picture; None where it was not measured.
    """

    at_ns: int
    faces: tuple[TrackedFace, ...]
    no_face: NoFace | None
    boxes: tuple[Box, ...] = ()
    stillness: Stillness | None = None


@dataclass(frozen=True, slots=True)
class FaceChoice:
    """The face that is taken for the speaker's.

    Attributes:
        track: Which one.
        by: ``only``: there was no other; ``mouth``: its mouth moved with the voice; ``speaker``: it was this
            speaker's before; ``size``: it was the largest.
        confidence: In [0, 1]: its share of the evidence; for an only face, the share of the frames that it is in,
            less where it was rather another speaker's before.
        faces: How many faces there were.
    """

    track: int
    by: ChosenBy
    confidence: float
    faces: int


@dataclass(frozen=True, slots=True)
class ExpressionChange:
    """From a media time on, a face had this expression."""

    at_ns: int
    label: str


@dataclass(frozen=True, slots=True)
class SpeakerFace:
    """The speaker's face in a turn.

    Attributes:
        choice: Which face, and how sure that it is the speaker's.
        frames: How many frames it is in.
        course: Its expression as it changed, in time order.
    """

    choice: FaceChoice
    frames: int
    course: tuple[ExpressionChange, ...]


@dataclass(frozen=True, slots=True)
class TurnVideo:
    """What a turn's frames give: the features of the speaker's face, or why there are none."""

    features: Features | Absent
    face: SpeakerFace | None = None
