"""Sets of emotions that hold the true one as often as promised, for every emotion by itself.

Class-wise (Mondrian) split conformal prediction: Vovk, Gammerman & Shafer, "Algorithmic Learning in a Random World",
2005, section 4.5; with one minus the probability of a class as how badly it fits (Sadinle, Lei & Wasserman, "Least
Ambiguous Set-Valued Classifiers", JASA 2019). On turns like those of the dev split, the set holds the true emotion in
at least the promised share of the turns of every emotion. An emotion with too few dev turns to promise that is in
every set; a set may be empty, where a turn fits no emotion, or hold several.

The promise is one about turns exchangeable with dev's, classified by the same modalities. Weights and temperatures, a
handful of numbers, are fitted on dev as well, which makes it slightly too good.

Letters: ``n`` turns, ``classes``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from adapters.contract import MODALITIES, EmotionScores
from adapters.errors import AdapterError

CASES = (
    *("words", "words and voice", "voice"),
    *("face", "words and face", "words, voice and face", "voice and face"),
)


@dataclass(frozen=True, slots=True)
class EmotionSets:
    """What sets are made with; stored in checkpoints.

    Attributes:
        coverage: The promised share, in (0, 1).
        limits: For each of `CASES` that the adapter knows, how badly each class may fit and still be in a set, in
            [0, 1].
    """

    coverage: float
    limits: Mapping[str, tuple[float, ...]]


def fit(
    probabilities: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"], coverage: float
) -> tuple[float, ...]:
    """How badly each class may fit so that the promise holds.

    Of ``k`` dev turns of a class, the limit is the ``ceil((k + 1) * coverage)``-th smallest misfit; 1, which every turn
    is within, where there are too few.

    Args:
        probabilities: Of dev turns.
        labels: Their class ids.
        coverage: The promised share.

    Raises:
        AdapterError: The share is not between 0 and 1.
    """
    if not 0.0 < coverage < 1.0:
        raise AdapterError(f"coverage is {coverage}, but a share of turns between 0 and 1 is wanted")
    misfits = 1.0 - probabilities
    limits: list[float] = []
    for label in range(probabilities.shape[1]):
        own = np.sort(misfits[labels == label, label])
        rank = math.ceil((len(own) + 1) * coverage - 1e-9)  # 20 * 0.95 is a little over 19 in floating point
        limits.append(float(own[rank - 1]) if rank <= len(own) else 1.0)
    return tuple(limits)


def contains(probabilities: Float[np.ndarray, "n classes"], limits: tuple[float, ...]) -> Bool[np.ndarray, "n classes"]:
    """Which classes each turn's set holds."""
    held: Bool[np.ndarray, "n classes"] = 1.0 - probabilities <= np.array(limits)
    return held


def case_of(words: bool, voice: bool, face: bool) -> str | None:
    """The case of a turn, by its modalities; None where it has none."""
    used = [name for name, there in (("words", words), ("voice", voice), ("face", face)) if there]
    return " and ".join(filter(None, (", ".join(used[:-1]), *used[-1:]))) or None


def emotions_of(sets: EmotionSets, scores: EmotionScores) -> tuple[str, ...]:
    """The emotions that a turn may carry.

    Args:
        sets: Of the adapter.
        scores: Its scores of the turn.

    Returns:
        Their names, the most probable first; all of them where no modality was used.
    """
    text, audio, video = (scores.modalities[modality] == "used" for modality in MODALITIES)
    case, row = case_of(text, audio, video), np.array(scores.probabilities)
    held = contains(row[None], sets.limits[case])[0] if case else np.ones(len(row), dtype=bool)
    return tuple(scores.labels.labels[label] for label in np.argsort(-row, kind="stable") if held[label])


def read(raw: Any, classes: int, *, voices: bool, faces: bool) -> EmotionSets | None:
    """Take sets from a card, or None where it has none.

    Args:
        raw: What the card says.
        classes: How many there are.
        voices: Whether the adapter reads voices.
        faces: Likewise.

    Raises:
        ValueError: They do not fit the card.
    """
    if raw is None:
        return None
    unread = [what for what, there in (("voice", voices), ("face", faces)) if not there]
    cases = [case for case in CASES if not any(what in case for what in unread)]
    limits = {case: tuple(map(float, raw["limits"][case])) for case in cases}
    coverage = float(raw["coverage"])
    values = [value for row in limits.values() for value in row]
    if any(len(row) != classes for row in limits.values()) or not all(0.0 <= v <= 1.0 for v in [coverage, *values]):
        raise ValueError(f"sets of {classes} classes want as many limits between 0 and 1 for each of {cases}")
    return EmotionSets(coverage, limits)
