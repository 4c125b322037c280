"""A face cut out of a picture as FER2013 frames its faces: 48 x 48 grey, eyes level, the face filling it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from tracker.observe.video.detect import Found
from tracker.sources.video import Image, OpenCV

SIZE = 48
POINTS = np.array([[15.0, 19.3], [33.0, 19.3], [24.0, 28.8], [16.6, 36.4], [31.4, 36.4]], np.float32)
"""Where eyes, nose and mouth lie: the median of what CenterFace finds in every 71st face of FER2013's Training, made
symmetric (342 of 405 found; standard deviation 3 to 5 pixels)."""

_SMALL = 2 * SIZE  # pixels of a face's height to which a larger one is shrunk first, since warping skips pixels


def cut(image: Image, face: Found, cv2: OpenCV) -> UInt8[np.ndarray, "48 48"]:
    """The face, turned and scaled so that its points lie on `POINTS` as nearly as they can; edges are repeated."""
    box = face.box
    margin = max(box.width, box.height)
    left, top = max(0, int(box.left - margin)), max(0, int(box.top - margin))
    right, bottom = int(box.left + box.width + margin) + 1, int(box.top + box.height + margin) + 1
    grey = cv2.cvtColor(np.ascontiguousarray(image[top:bottom, left:right]), cv2.COLOR_BGR2GRAY)
    scale = min(1.0, _SMALL / max(box.height, 1.0))
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    points = (face.points - np.array([left, top], np.float32)) * np.float32(scale)
    warped: UInt8[np.ndarray, "48 48"] = cv2.warpAffine(
        grey, similarity(points, POINTS), (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return warped


def similarity(
    source: Float32[np.ndarray, "points 2"], target: Float32[np.ndarray, "points 2"]
) -> Float64[np.ndarray, "2 3"]:
    """The turn, scale and shift that bring one set of points nearest to another in squared distance.

    The solution in closed form for the plane: with points as complex numbers, the scale and turn is the correlation
    of both sets over the spread of the first.
    """
    a, b = (points.astype(np.float64) @ np.array([1, 1j]) for points in (source, target))
    centred = a - a.mean()
    spread = float((abs(centred) ** 2).sum())
    turn = complex((centred.conj() * (b - b.mean())).sum() / spread) if spread else 1 + 0j
    shift = complex(b.mean() - turn * a.mean())
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
