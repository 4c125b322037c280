"""Whose face is the speaker's. Pure: what was seen during a turn in, one face and how sure it is out.

A mouth that moves while the turn's voice is heard speaks for its face; so does that the same face was the speaker's in
earlier turns. Where neither tells faces apart, the largest is taken, since a camera is turned to whom it is about.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from tracker.observe.video.look import Glimpse, SeenFace
from tracker.runtime.clock import ns_to_samples
from tracker.sources.media import RATE_HZ
from tracker.turns.turn import Turn

ChosenBy = Literal["only", "mouth", "speaker", "size"]

_CLEAR = 0.6  # share of the evidence from which a face stands out
_SOME_MOTION = 1.0  # grey levels a picture, added to each face's, so that two still mouths are equally likely
_WINDOW_S = 0.2  # around a glimpse, in which its voice is measured
_QUIET = 0.3  # of the turn's loudness: a mouth that moves in a pause says nothing
_PRIOR = 2.0  # turns that each face starts with in the book, so that one turn proves little
_FADES = 0.9  # what a turn's weight is multiplied with at each later turn of its speaker


@dataclass(frozen=True, slots=True)
class Choice:
    """A face that is taken for the speaker's.

    Attributes:
        track: Which.
        by: ``only``: there was no other; ``mouth``: its mouth moved with the voice; ``speaker``: it was this
            speaker's before; ``size``: it was the largest.
        confidence: In [0, 1]: its share of the evidence; for an only face, the share of the pictures that it is in,
            less where it was rather another speaker's before.
        seen: How many faces there were.
    """

    track: int
    by: ChosenBy
    confidence: float
    seen: int


class FaceBook:
    """Which face was whose, over a session."""

    def __init__(self) -> None:
        self._turns: defaultdict[str, Counter[int]] = defaultdict(Counter)

    def odds(self, speaker: str, tracks: Sequence[int]) -> dict[int, float]:
        """How much speaks for each face as a speaker's: earlier turns with it, over those of others with it."""
        weights = {}
        for track in tracks:
            others = sum(turns[track] for name, turns in self._turns.items() if name != speaker)
            weights[track] = (_PRIOR + self._turns[speaker][track]) / (_PRIOR + others)
        return weights

    def learn(self, speaker: str, choice: Choice) -> None:
        """A turn of a speaker's was seen in a face; guesses by size and by earlier turns teach nothing."""
        if choice.by in ("only", "mouth"):
            turns = self._turns[speaker]
            for track in turns:
                turns[track] *= _FADES  # type: ignore[assignment]  # a counter of weights
            turns[choice.track] += choice.confidence  # type: ignore[assignment]


def choose(glimpses: Sequence[Glimpse], turn: Turn, known: Mapping[int, float]) -> Choice:
    """The speaker's face.

    Args:
        glimpses: Those of the turn; at least one has a face.
        turn: For its voice.
        known: How much speaks for each face by earlier turns (`FaceBook.odds`).
    """
    faces = by_track(glimpses)
    if len(faces) == 1:
        (track, seen), *_ = faces.items()
        return Choice(track, "only", len(seen) / len(glimpses) * min(1.0, known.get(track, 1.0)), 1)
    spoken = voiced(glimpses, turn)
    moved = {track: _SOME_MOTION + _motion(seen, spoken) for track, seen in faces.items()}
    mouth = _shares(moved)
    both = _shares({track: mouth[track] * known.get(track, 1.0) for track in faces})
    for by, shares in (("mouth", mouth), ("speaker", both)):
        best = max(shares, key=lambda track: (shares[track], -track))
        if shares[best] >= _CLEAR and both[best] >= _CLEAR:
            return Choice(best, by, both[best], len(faces))  # type: ignore[arg-type]
    sizes = {track: sum(face.box.area for _, face in seen) for track, seen in faces.items()}
    largest = max(sizes, key=lambda track: (sizes[track], -track))
    return Choice(largest, "size", both[largest], len(faces))


def by_track(glimpses: Sequence[Glimpse]) -> dict[int, list[tuple[int, SeenFace]]]:
    """Each face's appearances, with the index of the glimpse."""
    faces: dict[int, list[tuple[int, SeenFace]]] = {}
    for index, glimpse in enumerate(glimpses):
        for face in glimpse.faces:
            faces.setdefault(face.track, []).append((index, face))
    return faces


def voiced(glimpses: Sequence[Glimpse], turn: Turn) -> list[bool]:
    """Whether there is a voice just before each glimpse, when its motion happened."""
    levels = [_level(turn.samples, ns_to_samples(glimpse.at_ns - turn.start_ns, RATE_HZ)) for glimpse in glimpses]
    loud = max(levels, default=0.0)
    return [level >= _QUIET * loud for level in levels]


def _level(samples: Float32[np.ndarray, " samples"], end: int) -> float:
    heard = samples[max(0, end - round(_WINDOW_S * RATE_HZ)) : max(1, end)]
    return float(np.sqrt(np.mean(np.square(heard, dtype=np.float64)))) if len(heard) else 0.0


def _motion(seen: Sequence[tuple[int, SeenFace]], spoken: Sequence[bool]) -> float:
    """Mean motion of a mouth where the voice is heard; a face that was away then did not speak."""
    return sum(face.motion for index, face in seen if spoken[index]) / max(1, sum(spoken))


def _shares(weights: Mapping[int, float]) -> dict[int, float]:
    total = sum(weights.values())
    return {track: weight / total for track, weight in weights.items()}
