"""Softer targets for the reader of words: what readers say of a turn who never saw its dialogue.

Labels of emotions are noisy, and a second look at the words tells where. The dialogues are dealt into folds; readers
are fitted to the labels of all folds but one, and judge that one. Their probabilities, mixed with the label, are what
the reader that ships learns: knowledge distillation (Hinton et al. 2015) between equals (Furlanello et al. 2018). That
teachers judge only what they were not fitted to keeps them from repeating the labels.

Letters: ``b`` rows, ``dim`` the width of an input row, ``classes``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from adapters.readout.members import Members, average
from adapters.training.fit import fit_members
from adapters.training.recipe import FitSpec

FOLDS = 5


def deal(dialogues: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
    """The fold of each row, the same for all rows of a dialogue."""
    numbers, place = dialogues.unique(return_inverse=True)
    return (torch.randperm(len(numbers)) % FOLDS)[place]


def taught(
    fresh: Callable[[], Members],
    inputs: Float[Tensor, "b dim"],
    labels: Int[Tensor, " b"],
    weights: Float[Tensor, " b"],
    dialogues: Int[Tensor, " b"],
    spec: FitSpec,
    share: float,
) -> Float[Tensor, "b classes"] | None:
    """What the reader is to learn: the labels, and what teachers say of each row; None for the labels alone.

    Args:
        fresh: Makes unfitted teachers.
        inputs: Training rows.
        labels: Their class ids.
        weights: How much each row counts.
        dialogues: Which dialogue each is of.
        spec: How teachers are fitted; to the end, since there is nothing to stop them by.
        share: How much of the target is the teachers'.
    """
    if not share:
        return None
    folds = deal(dialogues)
    said = torch.zeros(len(inputs), fresh().bias.shape[1])
    for fold in folds.unique():
        given, asked = folds != fold, folds == fold
        teachers = fresh()
        fit_members(teachers, inputs[given], labels[given], weights[given], replace(spec, patience=0))
        with torch.no_grad():
            said[asked] = average(teachers(inputs[asked])).exp()
    return (1.0 - share) * one_hot(labels, said.shape[1]) + share * said
