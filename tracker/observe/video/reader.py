"""Reads the faces of a frame: where they are, which ones, their expressions, how their mouths move. Keeps no image.

Faces are detected by CenterFace, run by OpenCV: Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face
as Point", 2019, arXiv 1911.03599. For each cell of 4 x 4 pixels, the network gives the probability that a face's centre
is there, the face's size, where in the cell its centre lies, and where eyes, nose and mouth are. Each face is then
aligned as FER2013's faces are: 48 x 48 grey, eyes level, the face filling the crop.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from tracker.observe.video.records import Box, FaceDetection, FrameFaces, NoFace, TrackedFace, overlap
from tracker.observe.video.stillness import CELLS, StillnessMeter
from tracker.observe.video.tracks import FaceTracker
from tracker.sources.video import Image, OpenCV, VideoFrame

SIZE = 48
POINTS = np.array([[15.0, 19.3], [33.0, 19.3], [24.0, 28.8], [16.6, 36.4], [31.4, 36.4]], np.float32)
"""Where eyes, nose and mouth lie in a crop: the median of what CenterFace finds in every 71st face of FER2013's
Training, made symmetric (342 of 405 found; standard deviation 3 to 5 pixels)."""

_STRIDE = 4  # pixels of a cell's side
_MULTIPLE = 32  # the network halves its input five times
_FACE_ABOVE = 0.5  # probability above which a cell is a face's centre
_SAME_ABOVE = 0.3  # overlap above which two detections are one face
_OUTPUTS = ("537", "538", "539", "540")  # heat map, size, offset, landmarks: as the ONNX file names them
_SMALL = 2 * SIZE  # pixels of a face's height to which a larger one is shrunk first, since warping skips pixels
_WIDTH, _WIDE = 320, 640  # pixels to which an image is shrunk, and where no face was found at the first width
_WIDE_EVERY = 5  # frames without a face: the second width costs three times the first
_MOST = 4  # faces that are read in one frame, the largest
_DARK = 24.0  # mean grey level below which a face would not be visible
_MOUTH = (slice(31, 45), slice(12, 36))  # rows and columns of a crop
_UPPER = (slice(4, 26), slice(8, 40))

Crop = UInt8[np.ndarray, "48 48"]


class Detector(Protocol):
    """Finds faces (`FaceDetector`)."""

    def __call__(self, image: Image, width: int) -> list[FaceDetection]:
        """The faces of an image shrunk to a width."""


class FaceDetector:
    """CenterFace; use from one thread at a time.

    Args:
        folder: The asset ``centerface``.
        cv2: The module.
    """

    def __init__(self, folder: Path, cv2: OpenCV) -> None:
        self._cv2 = cv2
        self._net = cv2.dnn.readNetFromONNX(str(folder / "centerface.onnx"))

    def __call__(self, image: Image, width: int) -> list[FaceDetection]:
        """The faces of an image, the most probable first.

        Args:
            image: The picture.
            width: Pixels to which a wider one is shrunk first; time grows with its square, and faces below some 16
                pixels of it are not found.
        """
        height, full = image.shape[:2]
        scale = min(1.0, width / full)
        small = image
        if scale < 1:
            size = (round(full * scale), max(1, round(height * scale)))
            small = self._cv2.resize(image, size, interpolation=self._cv2.INTER_AREA)
        below, beside = -small.shape[0] % _MULTIPLE, -small.shape[1] % _MULTIPLE
        padded = self._cv2.copyMakeBorder(small, 0, below, 0, beside, self._cv2.BORDER_CONSTANT)
        self._net.setInput(self._cv2.dnn.blobFromImage(padded))
        return _decode(*(np.asarray(one, np.float32)[0] for one in self._net.forward(_OUTPUTS)), scale=scale)


def _decode(
    heat: Float32[np.ndarray, "1 rows columns"],
    size: Float32[np.ndarray, "2 rows columns"],
    offset: Float32[np.ndarray, "2 rows columns"],
    landmarks: Float32[np.ndarray, "10 rows columns"],
    *,
    scale: float,
) -> list[FaceDetection]:
    """The network's maps as faces; in each pair of maps the vertical one comes first."""
    ys, xs = np.nonzero(heat[0] > _FACE_ABOVE)
    order = np.argsort(-heat[0, ys, xs], kind="stable")
    faces: list[FaceDetection] = []
    for y, x in zip(ys[order], xs[order], strict=True):
        high, wide = np.exp(size[:, y, x]) * _STRIDE
        top = (y + offset[0, y, x] + 0.5) * _STRIDE - high / 2
        left = (x + offset[1, y, x] + 0.5) * _STRIDE - wide / 2
        box = Box(float(left) / scale, float(top) / scale, float(wide) / scale, float(high) / scale)
        if all(overlap(box, other.box) <= _SAME_ABOVE for other in faces):
            at = landmarks[:, y, x].reshape(5, 2)
            points = np.stack([at[:, 1] * wide + left, at[:, 0] * high + top], axis=1) / scale
            faces.append(FaceDetection(box, points.astype(np.float32), float(heat[0, y, x])))
    return faces


def align(image: Image, face: FaceDetection, cv2: OpenCV) -> Crop:
    """The face as a crop, rotated and scaled so that its points lie as close to `POINTS` as possible."""
    box = face.box
    margin = max(box.width, box.height)
    left, top = max(0, int(box.left - margin)), max(0, int(box.top - margin))
    right, bottom = int(box.left + box.width + margin) + 1, int(box.top + box.height + margin) + 1
    grey = cv2.cvtColor(np.ascontiguousarray(image[top:bottom, left:right]), cv2.COLOR_BGR2GRAY)
    scale = min(1.0, _SMALL / max(box.height, 1.0))
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    points = (face.points - np.array([left, top], np.float32)) * np.float32(scale)
    warped: Crop = cv2.warpAffine(
        grey, similarity(points, POINTS), (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return warped


def similarity(
    source: Float32[np.ndarray, "points 2"], target: Float32[np.ndarray, "points 2"]
) -> Float64[np.ndarray, "2 3"]:
    """The least-squares similarity transform (rotation, scale, shift) from one set of points to another.

    In closed form for the plane: with points as complex numbers, scale and rotation are the correlation of both sets
    over the variance of the first.
    """
    a, b = (points.astype(np.float64) @ np.array([1, 1j]) for points in (source, target))
    centred = a - a.mean()
    variance = float((abs(centred) ** 2).sum())
    turn = complex((centred.conj() * (b - b.mean())).sum() / variance) if variance else 1 + 0j
    shift = complex(b.mean() - turn * a.mean())
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


class FaceReader:
    """Reads the frames of one session, in order; use from one thread at a time.

    Args:
        detect: Finds faces.
        features: Crops to the features of their expressions.
        cv2: The module.
        min_face_px: Height below which a face is not read, in pixels of the frame.
    """

    def __init__(
        self,
        detect: Detector,
        features: Callable[[UInt8[np.ndarray, "faces 48 48"]], Float32[np.ndarray, "faces dim"]],
        cv2: OpenCV,
        min_face_px: int,
    ) -> None:
        self._detect = detect
        self._features = features
        self._cv2 = cv2
        self._min_face_px = min_face_px
        self._tracker = FaceTracker()
        self._stillness = StillnessMeter()
        self._missed = 0
        self._crops: dict[int, Crop] = {}  # of the frame before, by track

    def __call__(self, frame: VideoFrame) -> FrameFaces:
        """The faces of the next frame."""
        found = self._find(frame.image)
        large = [face for face in found if face.box.height >= self._min_face_px]
        large = sorted(large, key=lambda face: -face.box.area)[:_MOST]
        tracks = self._tracker.follow([face.box for face in large], frame.at_ns)
        crops = [align(frame.image, face, self._cv2) for face in large]
        features = list(self._features(np.stack(crops))) if crops else list[Float32[np.ndarray, " dim"]]()
        faces = tuple(
            TrackedFace(track, face.box, _motion(self._crops.get(track), crop), values)
            for track, face, crop, values in zip(tracks, large, crops, features, strict=True)
        )
        self._crops = dict(zip(tracks, crops, strict=True))
        boxes = tuple(face.box for face in found)
        cells = self._cv2.resize(frame.image, (CELLS, CELLS), interpolation=self._cv2.INTER_AREA)
        stillness = self._stillness.feed(cells.mean(2, dtype=np.float32), frame.at_ns)
        return FrameFaces(frame.at_ns, faces, None if faces else _no_face(frame.image, found), boxes, stillness)

    def _find(self, image: Image) -> list[FaceDetection]:
        found = self._detect(image, _WIDTH)
        if not found and image.shape[1] > _WIDTH and self._missed % _WIDE_EVERY == 0:
            found = self._detect(image, _WIDE)
        self._missed = 0 if any(face.box.height >= self._min_face_px for face in found) else self._missed + 1
        return found


def _no_face(image: Image, found: list[FaceDetection]) -> NoFace:
    if found:
        return "face too small"
    return "too dark" if float(image[::8, ::8].mean()) < _DARK else "no face"


def _motion(before: Crop | None, now: Crop) -> float:
    """Motion of the mouth, less that of the upper face: a head that moves as a whole moves no mouth."""
    if before is None:
        return 0.0
    change = np.abs(now.astype(np.int16) - before)
    return max(0.0, float(change[_MOUTH].mean() - change[_UPPER].mean()))
