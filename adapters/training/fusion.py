"""Late fusion and conformal sets, both fitted on held-out turns with simulated voices and faces."""

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
from adapters.training.modality_scores import SimulatedScores
from adapters.training.simulate import PRESENT

COVERAGE = 0.9  # of the conformal sets, for every emotion
DRAWS = 6  # of voices and faces that fusion is fitted to; with one draw alone it would fit to the draw
CONFLICTS = 2  # further ones, in which every voice and face shows any emotion: it must know that such turns exist


def cases_of(scores: SimulatedScores) -> dict[str, ModalityScores]:
    """The same turns with every combination of modalities, by name."""
    yes = torch.ones(scores.words.shape[2], dtype=torch.bool)
    voices, faces = ((False,) if part is None else (False, True) for part in (scores.voice, scores.face))
    cases = product((True, False), voices, faces)
    return {
        name: scores.masked(yes & words, yes & voice, yes & face)
        for words, voice, face in cases
        if (name := case_of(words, voice, face)) is not None
    }


def fit_fusion(fusion: LateFusion, drawn: Sequence[SimulatedScores], labels: Int[Tensor, " turns"]) -> None:
    """Fit late fusion to every combination of modalities in every draw."""
    fit_weights(fusion, [case for scores in drawn for case in cases_of(scores).values()], labels)


@torch.no_grad()
def evaluate_cases(
    fusion: LateFusion,
    scores: SimulatedScores,
    conflicting: SimulatedScores,
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
