"""One picture in, what is seen in it out: which faces, their expressions, how their mouths move. Keeps no picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from jaxtyping import Float32, UInt8

from tracker.observe.video.align import cut
from tracker.observe.video.box import Box
from tracker.observe.video.detect import Found
from tracker.observe.video.tracks import Tracker
from tracker.sources.video import Image, OpenCV, VideoFrame

Unseen = Literal["no face", "face too small", "too dark", "camera off"]

_WIDTH, _CLOSE_WIDTH = 320, 640  # pixels of a glance, and of a closer look where it found nothing
_CLOSE_EVERY = 5  # pictures without a face: a closer look costs three glances
_MOST = 4  # faces that are read in one picture, the largest
_DARK = 24.0  # mean grey level under which nobody could be seen
_MOUTH = (slice(31, 45), slice(12, 36))  # rows and columns of a face as it is cut out
_UPPER = (slice(4, 26), slice(8, 40))


@dataclass(frozen=True, slots=True, eq=False)
class SeenFace:
    """A face in one picture.

    Attributes:
        track: Which face it is, over the session.
        box: Where, in pixels.
        motion: By how many grey levels the mouth changed since the picture before, more than the upper face did.
        features: Of its expression (`adapters.features.visual`).
    """

    track: int
    box: Box
    motion: float
    features: Float32[np.ndarray, " dim"]


@dataclass(frozen=True, slots=True, eq=False)
class Glimpse:
    """What was seen in one picture.

    Attributes:
        at_ns: Media time.
        faces: Those that are large enough, the largest first.
        unseen: Why there are none; None where there are some.
        boxes: Of every face that was found, also of those that are too small.
    """

    at_ns: int
    faces: tuple[SeenFace, ...]
    unseen: Unseen | None
    boxes: tuple[Box, ...] = ()


class Detect(Protocol):
    """Finds faces (`FaceDetector`)."""

    def __call__(self, image: Image, width: int) -> list[Found]:
        """The faces of a picture shrunk to a width."""


class Looker:
    """Looks at the pictures of one session, in order; use from one thread at a time.

    Args:
        detect: Finds faces.
        read: Grey faces to features.
        cv2: The module.
        min_face_px: Height under which a face tells nothing, in pixels of the picture.
    """

    def __init__(
        self,
        detect: Detect,
        read: Callable[[UInt8[np.ndarray, "faces 48 48"]], Float32[np.ndarray, "faces dim"]],
        cv2: OpenCV,
        min_face_px: int,
    ) -> None:
        self._detect = detect
        self._read = read
        self._cv2 = cv2
        self._min_face_px = min_face_px
        self._tracker = Tracker()
        self._missed = 0
        self._before: dict[int, UInt8[np.ndarray, "48 48"]] = {}

    def __call__(self, frame: VideoFrame) -> Glimpse:
        """What is seen in the next picture."""
        found = self._find(frame.image)
        large = [face for face in found if face.box.height >= self._min_face_px]
        large = sorted(large, key=lambda face: -face.box.area)[:_MOST]
        tracks = self._tracker.follow([face.box for face in large], frame.at_ns)
        crops = [cut(frame.image, face, self._cv2) for face in large]
        features = list(self._read(np.stack(crops))) if crops else list[Float32[np.ndarray, " dim"]]()
        faces = tuple(
            SeenFace(track, face.box, _motion(self._before.get(track), crop), values)
            for track, face, crop, values in zip(tracks, large, crops, features, strict=True)
        )
        self._before = dict(zip(tracks, crops, strict=True))
        boxes = tuple(face.box for face in found)
        return Glimpse(frame.at_ns, faces, None if faces else self._why(frame.image, found), boxes)

    def _find(self, image: Image) -> list[Found]:
        found = self._detect(image, _WIDTH)
        if not found and image.shape[1] > _WIDTH and self._missed % _CLOSE_EVERY == 0:
            found = self._detect(image, _CLOSE_WIDTH)
        self._missed = 0 if any(face.box.height >= self._min_face_px for face in found) else self._missed + 1
        return found

    def _why(self, image: Image, found: list[Found]) -> Unseen:
        if found:
            return "face too small"
        return "too dark" if float(image[::8, ::8].mean()) < _DARK else "no face"


def _motion(before: UInt8[np.ndarray, "48 48"] | None, now: UInt8[np.ndarray, "48 48"]) -> float:
    """A head that moves as a whole moves no mouth, so what the upper face changed is taken off."""
    if before is None:
        return 0.0
    change = np.abs(now.astype(np.int16) - before)
    return max(0.0, float(change[_MOUTH].mean() - change[_UPPER].mean()))
