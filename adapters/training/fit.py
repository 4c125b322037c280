"""Fitting classifiers, and the weights of late fusion.

Letters: ``b`` rows, ``dim`` the width of an input row, ``classes``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, nll_loss
from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR

from adapters.readout.ensemble import Ensemble
from adapters.readout.fusion import LateFusion, ModalityScores
from adapters.training.progress import progress
from adapters.training.recipe import FitSpec


@dataclass(frozen=True, slots=True)
class LearningCurves:
    """How fitting went, epoch by epoch.

    Attributes:
        losses: Mean training loss.
        scores: Score on held-out rows, where there is one.
    """

    losses: tuple[float, ...]
    scores: tuple[float, ...] = ()


def best_epoch(scores: Sequence[float]) -> int:
    """The first epoch with the highest score, counted from 0."""
    return max(range(len(scores)), key=lambda epoch: scores[epoch])


def log_prior(labels: Int[Tensor, " b"], weights: Float[Tensor, " b"], classes: int) -> Float[Tensor, " classes"]:
    """Log share of each class in what is fitted, one row of each added so that none is impossible."""
    counts = torch.bincount(labels, weights, minlength=classes).float() + 1.0
    return (counts / counts.sum()).log()


def one_cycle(optimiser: Optimizer, highest: float | list[float], steps: int) -> OneCycleLR:
    """Learning rates that rise for a tenth of the steps, and fall afterwards.

    Args:
        optimiser: Whose rates they are.
        highest: The highest rate, or that of each group.
        steps: How many in all, at least 1.
    """
    rising = 0.2 if steps == 10 else 0.1  # a rise of one step has no length, and OneCycleLR divides by it
    return OneCycleLR(optimiser, highest, total_steps=steps, pct_start=rising)


def fit_ensemble(
    ensemble: Ensemble,
    inputs: Float[Tensor, "b dim"],
    labels: Int[Tensor, " b"],
    weights: Float[Tensor, " b"],
    spec: FitSpec,
    score: Callable[[], float] | None = None,
    targets: Float[Tensor, "b classes"] | None = None,
) -> LearningCurves:
    """Fit all members of an ensemble at once.

    Args:
        ensemble: A fresh one; its scales are measured here.
        inputs: Training rows.
        labels: Their class ids.
        weights: Weight of each row.
        spec: How to fit.
        score: How well the ensemble does on held-out rows, higher is better; computed after each epoch, if given.
        targets: Probabilities to learn in place of the labels, if any (see `adapters.training.distil`).

    Returns:
        How it went. With a score and patience, the ensemble is that of the best epoch.
    """
    ensemble.standardise.measure(inputs)
    offset = spec.adjust * log_prior(labels, weights, ensemble.bias.shape[1])
    count = len(ensemble.outer)
    learned = labels if targets is None else targets
    optimiser = torch.optim.AdamW(ensemble.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)
    steps = spec.epochs * -(-len(inputs) // spec.batch)
    schedule = one_cycle(optimiser, spec.learning_rate, steps)
    losses: list[float] = []
    held_out: list[float] = []
    best: dict[str, Tensor] = {}
    for _ in progress(range(spec.epochs), "fitting"):
        ensemble.train()
        total = 0.0
        for rows in torch.randperm(len(inputs)).split(spec.batch):
            scores = (ensemble(inputs[rows]) + offset).flatten(0, 1)
            target = learned[rows].repeat_interleave(count, dim=0)
            each = cross_entropy(scores, target, reduction="none", label_smoothing=spec.label_smoothing)
            loss = (each * weights[rows].repeat_interleave(count)).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(rows)
        losses.append(total / len(inputs))
        ensemble.train(False)
        if score is not None:
            held_out.append(score())
            since = len(held_out) - 1 - best_epoch(held_out)
            if spec.patience and since == 0:
                best = {name: value.clone() for name, value in ensemble.state_dict().items()}
            if spec.patience and since >= spec.patience:
                break
    if best:
        ensemble.load_state_dict(best)
    return LearningCurves(tuple(losses), tuple(held_out))


def fit_weights(fusion: LateFusion, cases: Sequence[ModalityScores], labels: Int[Tensor, " b"]) -> None:
    """Fit late fusion by maximum likelihood.

    Args:
        fusion: What is fitted.
        cases: The same held-out turns with different modalities present; each case counts the same.
        labels: Class ids of the turns.
    """
    optimiser = torch.optim.LBFGS(fusion.parameters(), max_iter=200, line_search_fn="strong_wolfe")
    together = ModalityScores(
        *(torch.cat([getattr(case, part.name) for case in cases]) for part in fields(ModalityScores))
    )
    repeated = labels.repeat(len(cases))

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss: Tensor = nll_loss(fusion(together), repeated)
        loss.backward()
        return loss

    optimiser.step(closure)
