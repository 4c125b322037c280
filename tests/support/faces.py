"""Made-up faces, and pictures that hold them, for the tests of what is seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from adapters.contract import MELD_LABELS
from adapters.features.visual import CHANNELS, SPEC
from tracker.observe.video.box import Box
from tracker.observe.video.look import Glimpse, SeenFace, Unseen
from tracker.runtime.clock import NS_PER_MS
from tracker.sources.video import VideoFrame
from tracker.turns.turn import Turn

STEP_NS = 200 * NS_PER_MS


def features(label: str = "neutral") -> np.ndarray:
    row = np.full(SPEC.dim, -3.0, np.float32)
    row[CHANNELS + MELD_LABELS.labels.index(label)] = 0.0
    return row


def face(track: int = 1, label: str = "neutral", motion: float = 0.0, size: float = 100.0) -> SeenFace:
    return SeenFace(track, Box(300.0 * track, 50, size, size * 1.2), motion, features(label))


def glimpse(index: int, *faces: SeenFace, unseen: Unseen | None = None) -> Glimpse:
    return Glimpse(index * STEP_NS, faces, unseen if unseen or faces else "no face")


def turn(first: int, last: int, samples: np.ndarray | None = None, number: int = 1) -> Turn:
    """The turn of the glimpses from first to last."""
    start, end = first * STEP_NS, (last + 1) * STEP_NS
    loud = np.full((end - start) // 62_500, 0.5, np.float32)
    return Turn(number, 0, start, end, end + 5 * 10**8, "pause", end - start, loud if samples is None else samples)


def frames(count: int, size: Sequence[int] = (36, 64)) -> Iterator[VideoFrame]:
    """Pictures that say in each pixel which they are."""
    for index in range(count):
        yield VideoFrame(index * STEP_NS, np.full((*size, 3), index, np.uint8))
