"""Which face of one frame is which of the frames before. Pure: boxes in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from tracker.observe.video.records import Box, overlap
from tracker.runtime.clock import NS_PER_S

_NEAR = 0.8  # of a face's width: how far its centre may move between two frames
_LIKE = 1.6  # by which factor its width may change
_KEPT_NS = 30 * NS_PER_S  # a face that was absent for longer is a new one, even in the same place


@dataclass(frozen=True, slots=True)
class FaceTrack:
    """A face and where it was last."""

    number: int
    box: Box
    last_ns: int


class FaceTracker:
    """Follows faces from frame to frame; numbers count from 1 and are never given twice.

    The nearest pairs belong together, where they are near enough: people sit still between two frames.
    """

    def __init__(self) -> None:
        self._tracks: list[FaceTrack] = []
        self._count = 0

    def follow(self, boxes: Sequence[Box], at_ns: int) -> list[int]:
        """The number of each face of the next frame."""
        self._tracks = [track for track in self._tracks if at_ns - track.last_ns <= _KEPT_NS]
        pairs = sorted(
            (_distance(self._tracks[t].box, boxes[b]), t, b)
            for t, b in product(range(len(self._tracks)), range(len(boxes)))
        )
        numbers: dict[int, int] = {}
        taken: set[int] = set()
        for distance, t, b in pairs:
            if distance <= _NEAR and t not in taken and b not in numbers:
                numbers[b] = self._tracks[t].number
                taken.add(t)
        for b in range(len(boxes)):
            if b not in numbers:
                self._count += 1
                numbers[b] = self._count
        current = [FaceTrack(numbers[b], box, at_ns) for b, box in enumerate(boxes)]
        self._tracks = [track for t, track in enumerate(self._tracks) if t not in taken] + current
        return [numbers[b] for b in range(len(boxes))]


def _distance(before: Box, now: Box) -> float:
    """Distance of the centres in widths of the face, less where the boxes overlap; infinite where sizes differ."""
    wider, narrower = max(before.width, now.width), min(before.width, now.width)
    if wider > _LIKE * narrower:
        return float("inf")
    (x0, y0), (x1, y1) = before.centre, now.centre
    return math.hypot(x1 - x0, y1 - y0) / wider - overlap(before, now) / 10
