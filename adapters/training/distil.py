"""Soft targets for the words' classifier: predictions for a turn by classifiers not trained on its dialogue.

Emotion labels are noisy, and a second look at the words shows where. The dialogues are split into folds. Teachers are
fitted to the labels of all folds but one, and predict that one. Their probabilities, mixed with the label, are the
target: knowledge distillation (Hinton et al. 2015) between equals (Furlanello et al. 2018). Teachers predict only
what they were not fitted to, so they cannot repeat the labels.

Letters: ``b`` rows, ``dim`` the width of an input row, ``classes``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from adapters.readout.ensemble import Ensemble, mean_log_probs
from adapters.training.fit import fit_ensemble
from adapters.training.recipe import FitSpec

FOLDS = 5


def assign_folds(dialogues: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
    """The fold of each row, the same for all rows of a dialogue."""
    numbers, place = dialogues.unique(return_inverse=True)
    return (torch.randperm(len(numbers)) % FOLDS)[place]


def soft_targets(
    fresh: Callable[[], Ensemble],
    inputs: Float[Tensor, "b dim"],
    labels: Int[Tensor, " b"],
    weights: Float[Tensor, " b"],
    dialogues: Int[Tensor, " b"],
    spec: FitSpec,
    share: float,
) -> Float[Tensor, "b classes"] | None:
    """Labels mixed with the teachers' predictions; None for the labels alone.

    Args:
        fresh: Makes unfitted teachers.
        inputs: Training rows.
        labels: Their class ids.
        weights: Weight of each row.
        dialogues: Which dialogue each is of.
        spec: How teachers are fitted; for all epochs, since no held-out score could stop them.
        share: The teachers' share of the target.
    """
    if not share:
        return None
    folds = assign_folds(dialogues)
    predicted = torch.zeros(len(inputs), fresh().bias.shape[1])
    for fold in folds.unique():
        fitting, held_out = folds != fold, folds == fold
        teachers = fresh()
        fit_ensemble(teachers, inputs[fitting], labels[fitting], weights[fitting], replace(spec, patience=0))
        with torch.no_grad():
            predicted[held_out] = mean_log_probs(teachers(inputs[held_out])).exp()
    return (1.0 - share) * one_hot(labels, predicted.shape[1]) + share * predicted
