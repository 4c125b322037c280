"""Made-up faces and frames for the tests of the video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from adapters.contract import MELD_LABELS
from adapters.features.visual import CHANNELS, SPEC
from tracker.observe.video.records import Box, FrameFaces, NoFace, TrackedFace
from tracker.runtime.clock import NS_PER_MS
from tracker.sources.video import VideoFrame
from tracker.turns.turn import Turn

STEP_NS = 200 * NS_PER_MS


def features(label: str = "neutral") -> np.ndarray:
    row = np.full(SPEC.dim, -3.0, np.float32)
    row[CHANNELS + MELD_LABELS.labels.index(label)] = 0.0
    return row


def face(track: int = 1, label: str = "neutral", motion: float = 0.0, size: float = 100.0) -> TrackedFace:
    return TrackedFace(track, Box(300.0 * track, 50, size, size * 1.2), motion, features(label))


def frame_faces(index: int, *faces: TrackedFace, no_face: NoFace | None = None) -> FrameFaces:
    return FrameFaces(index * STEP_NS, faces, no_face if no_face or faces else "no face")


def turn(first: int, last: int, samples: np.ndarray | None = None, number: int = 1) -> Turn:
    """The turn of the frames from first to last."""
    start, end = first * STEP_NS, (last + 1) * STEP_NS
    loud = np.full((end - start) // 62_500, 0.5, np.float32)
    return Turn(number, 0, start, end, end + 5 * 10**8, "pause", end - start, loud if samples is None else samples)


def frames(count: int, size: Sequence[int] = (36, 64)) -> Iterator[VideoFrame]:
    """Frames whose pixels say which one it is."""
    for index in range(count):
        yield VideoFrame(index * STEP_NS, np.full((*size, 3), index, np.uint8))
