"""Late fusion and conformal sets, both fitted on held-out turns with simulated voices and faces, or recorded ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from adapters.checkpoint import conformal
from adapters.checkpoint.conformal import EmotionSets, case_of
from adapters.readout.fusion import LateFusion, ModalityScores
from adapters.training.fit import fit_weights
from adapters.training.metrics import Metrics, compute_metrics
from adapters.training.modality_scores import TurnScores
from adapters.training.simulate import PRESENT

COVERAGE = 0.9  # of the conformal sets, for every emotion
DRAWS = 6  # of voices and faces that fusion is fitted to; with one draw alone it would fit to the draw
CONFLICTS = 2  # further ones, in which every voice and face shows any emotion: it must know that such turns exist


def cases_of(scores: TurnScores) -> dict[str, ModalityScores]:
    """The same turns with every combination of modalities, by name."""
    yes = torch.ones(scores.words.shape[2], dtype=torch.bool)
    voices, faces = ((False,) if part is None else (False, True) for part in (scores.voice, scores.face))
    cases = product((True, False), voices, faces)
    return {
        name: scores.masked(yes & words, yes & voice, yes & face)
        for words, voice, face in cases
        if (name := case_of(words, voice, face)) is not None
    }


def fit_fusion(
    fusion: LateFusion,
    drawn: Sequence[TurnScores],
    labels: Int[Tensor, " turns"],
    conflicting: Sequence[TurnScores] = (),
) -> None:
    """Fit late fusion to every combination of modalities in every draw.

    Args:
        fusion: What is fitted.
        drawn: Voices and faces that fit the words as often as they do in people.
        labels: Class ids of the turns.
        conflicting: Draws in which they show any emotion; a modality that is alone contradicts nothing, so these count
            where there are two or more.
    """
    cases = [case for scores in drawn for case in cases_of(scores).values()]
    cases += [case for scores in conflicting for case in cases_of(scores).values() if _several(case)]
    fit_weights(fusion, cases, labels)


def _several(case: ModalityScores) -> bool:
    return sum(bool(part.any()) for part in (case.has_words, case.has_voice, case.has_face)) > 1


@torch.no_grad()
def evaluate_cases(
    fusion: LateFusion,
    scores: TurnScores,
    conflicting: TurnScores,
    labels: Int[Tensor, " turns"],
    names: tuple[str, ...],
    seed: int,
) -> tuple[dict[str, Metrics], EmotionSets]:
    """Metrics of each combination of modalities, and conformal sets.

    Args:
        fusion: Fitted.
        scores: A draw that it was not fitted to.
        conflicting: One in which voices and faces show any emotion, whatever the words.
        labels: Class ids of the turns.
        names: The classes.
        seed: Of what is absent where any modality may be.
    """
    true = labels.numpy()

    def probabilities(case: ModalityScores) -> Float[np.ndarray, "turns classes"]:
        return np.asarray(fusion(case).exp().double().numpy())

    rows = {name: probabilities(case) for name, case in cases_of(scores).items()}
    sets = EmotionSets(COVERAGE, {name: conformal.fit(row, true, COVERAGE) for name, row in rows.items()})
    random = np.random.default_rng(seed)
    present = (torch.from_numpy(random.random(len(true)) < share) for share in PRESENT.values())
    every = case_of(True, scores.voice is not None, scores.face is not None)
    if every != "words":
        rows[f"{every}, any of them absent"] = probabilities(scores.masked(*present))
        rows[f"{every}, in conflict"] = probabilities(cases_of(conflicting)[str(every)])
    named = {name if name == "words" else f"{name} (simulated)": row for name, row in rows.items()}
    return {name: compute_metrics(row, true, names) for name, row in named.items()}, sets


def fit_recorded(
    fusion: LateFusion, turns: Sequence[TurnScores], labels: Int[Tensor, " turns"], names: tuple[str, ...]
) -> tuple[dict[str, Metrics], EmotionSets]:
    """Fit late fusion to turns as they were recorded; no turn is judged by weights that were fitted to it.

    Args:
        fusion: Fitted to all of them in the end.
        turns: The same ones with their words as written, and as a recogniser hears them, if that is known.
        labels: Class ids.
        names: The classes.

    Returns:
        Metrics of each combination of modalities with words as written, and conformal sets: each half of the turns is
        judged by weights that were fitted to the other.
    """
    true, middle = labels.numpy(), len(labels) // 2
    halves = slice(0, middle), slice(middle, len(labels))
    judged: dict[str, list[np.ndarray]] = {}
    for fitting, rows in (halves, halves[::-1]):
        of_others = LateFusion(len(names))
        fit_fusion(of_others, [scores.where(fitting) for scores in turns], labels[fitting])
        with torch.no_grad():
            for name, case in cases_of(turns[0].where(rows)).items():
                judged.setdefault(name, []).insert(0, of_others(case).exp().double().numpy())
    together = {name: np.concatenate(parts) for name, parts in judged.items()}
    sets = EmotionSets(COVERAGE, {name: conformal.fit(row, true, COVERAGE) for name, row in together.items()})
    fit_fusion(fusion, turns, labels)
    named = {name if name == "words" else f"{name} (recorded)": row for name, row in together.items()}
    return {name: compute_metrics(row, true, names) for name, row in named.items()}, sets
