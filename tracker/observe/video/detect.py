"""Where faces are in a picture: CenterFace, run by OpenCV.

Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019, arXiv 1911.03599. The network
gives, for each cell of 4 x 4 pixels, how likely a face's centre is there, how large the face is, where in the cell its
centre lies, and where eyes, nose and mouth are.

Letters: ``cells`` of the heat map, ``faces`` found.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from tracker.observe.video.box import Box, overlap
from tracker.sources.video import Image, OpenCV

_STRIDE = 4  # pixels of a cell's side
_MULTIPLE = 32  # the network halves its input five times
_CERTAIN = 0.5  # heat from which a cell is a face's centre
_SAME = 0.3  # overlap from which two finds are one face
_OUTPUTS = ("537", "538", "539", "540")  # heat, size, offset, landmarks: as the ONNX file names them


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A face in a picture.

    Attributes:
        box: Around it, in pixels of the picture.
        points: Left eye, right eye, nose, left and right corner of the mouth, as seen: x and y in pixels.
        certainty: In [0, 1].
    """

    box: Box
    points: Float32[np.ndarray, "5 2"]
    certainty: float


class FaceDetector:
    """CenterFace; use from one thread at a time.

    Args:
        folder: The asset ``centerface``.
        cv2: The module.
    """

    def __init__(self, folder: Path, cv2: OpenCV) -> None:
        self._cv2 = cv2
        self._net = cv2.dnn.readNetFromONNX(str(folder / "centerface.onnx"))

    def __call__(self, image: Image, width: int) -> list[Found]:
        """The faces of a picture, the most certain first.

        Args:
            image: The picture.
            width: Pixels to which a wider one is shrunk first; time grows with its square, and faces under some 16
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
) -> list[Found]:
    """The network's maps as faces; in each pair of maps the vertical one comes first."""
    ys, xs = np.nonzero(heat[0] > _CERTAIN)
    order = np.argsort(-heat[0, ys, xs], kind="stable")
    kept: list[Found] = []
    for y, x in zip(ys[order], xs[order], strict=True):
        high, wide = np.exp(size[:, y, x]) * _STRIDE
        top = (y + offset[0, y, x] + 0.5) * _STRIDE - high / 2
        left = (x + offset[1, y, x] + 0.5) * _STRIDE - wide / 2
        box = Box(float(left) / scale, float(top) / scale, float(wide) / scale, float(high) / scale)
        if all(overlap(box, other.box) <= _SAME for other in kept):
            at = landmarks[:, y, x].reshape(5, 2)
            points = np.stack([at[:, 1] * wide + left, at[:, 0] * high + top], axis=1) / scale
            kept.append(Found(box, points.astype(np.float32), float(heat[0, y, x])))
    return kept
