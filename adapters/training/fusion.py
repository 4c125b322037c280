"""Weighing the witnesses and making sets of emotions, both fitted on held-out turns with simulated voices and faces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from adapters.checkpoint import conformal
from adapters.checkpoint.conformal import EmotionSets, case_of
from adapters.contract import MELD_LABELS
from adapters.readout.judge import Weigh, Witnesses
from adapters.training.fit import fit_weigh
from adapters.training.metrics import Figures, figures
from adapters.training.modality_scores import Said
from adapters.training.simulate import PRESENT

COVERAGE = 0.9  # what the sets of emotions promise, for every emotion
DRAWS = 6  # of voices and faces that weights are fitted to; with one, what was drawn is learned along with the weights


def cases_of(said: Said) -> dict[str, Witnesses]:
    """The same turns with every combination of witnesses, by name."""
    yes = torch.ones(len(said.words), dtype=torch.bool)
    faces = (False, True) if said.face is not None else (False,)
    cases = product((True, False), (False, True), faces)
    return {
        name: said.given(yes & words, yes & voice, yes & face)
        for words, voice, face in cases
        if (name := case_of(words, voice, face)) is not None
    }


def weigh_witnesses(weigh: Weigh, drawn: Sequence[Said], labels: Int[Tensor, " turns"]) -> None:
    """Fit how the witnesses are weighed, every combination of them on every draw."""
    fit_weigh(weigh, [case for said in drawn for case in cases_of(said).values()], labels)


@torch.no_grad()
def judge_cases(
    weigh: Weigh, said: Said, conflicting: Said, labels: Int[Tensor, " turns"], seed: int
) -> tuple[dict[str, Figures], EmotionSets]:
    """How each combination of witnesses does, and the sets of emotions that keep the promise.

    Args:
        weigh: Fitted.
        said: A draw that it was not fitted to.
        conflicting: One in which voices and faces show any emotion, whatever is said.
        labels: Class ids of the turns.
        seed: Of what is absent where anything may be.
    """
    true = labels.numpy()

    def probabilities(case: Witnesses) -> Float[np.ndarray, "turns classes"]:
        return np.asarray(weigh(case).exp().double().numpy())

    rows = {name: probabilities(case) for name, case in cases_of(said).items()}
    sets = EmotionSets(COVERAGE, {name: conformal.fit(row, true, COVERAGE) for name, row in rows.items()})
    random = np.random.default_rng(seed)
    there = (torch.from_numpy(random.random(len(true)) < share) for share in PRESENT.values())
    all_of_them = case_of(True, True, said.face is not None)
    rows[f"{all_of_them}, any of them absent"] = probabilities(said.given(*there))
    rows[f"{all_of_them}, in conflict"] = probabilities(cases_of(conflicting)[str(all_of_them)])
    named = {name if name == "words" else f"{name} (simulated)": row for name, row in rows.items()}
    return {name: figures(row, true, MELD_LABELS.labels) for name, row in named.items()}, sets
