"""Fitting the two readers and the scales that weigh them.

Letters: ``b`` rows, ``dim`` the width of an input row, ``classes``.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from adapters.progress import progress
from adapters.readout.judge import Weigh
from adapters.readout.members import Members
from adapters.recipe import FitSpec


def log_prior(labels: Int[Tensor, " b"], weights: Float[Tensor, " b"], classes: int) -> Float[Tensor, " classes"]:
    """Log share of each class in what is fitted, one row of each added so that none is impossible."""
    counts = torch.bincount(labels, weights, minlength=classes).float() + 1.0
    return (counts / counts.sum()).log()


def fit_members(
    members: Members,
    inputs: Float[Tensor, "b dim"],
    labels: Int[Tensor, " b"],
    weights: Float[Tensor, " b"],
    spec: FitSpec,
) -> list[float]:
    """Fit all members at once.

    Args:
        members: Fresh ones; their scales are measured here.
        inputs: Training rows.
        labels: Their class ids.
        weights: How much each row counts.
        spec: How to fit.

    Returns:
        The mean loss of each epoch.
    """
    members.standardise.measure(inputs)
    offset = spec.adjust * log_prior(labels, weights, members.bias.shape[1])
    count = len(members.outer)
    optimiser = torch.optim.AdamW(members.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)
    steps = spec.epochs * -(-len(inputs) // spec.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, spec.learning_rate, total_steps=steps, pct_start=0.1)
    losses: list[float] = []
    members.train()
    for _ in progress(range(spec.epochs), "fitting"):
        total = 0.0
        for rows in torch.randperm(len(inputs)).split(spec.batch):
            scores = (members(inputs[rows]) + offset).flatten(0, 1)
            each = cross_entropy(
                scores, labels[rows].repeat_interleave(count), reduction="none", label_smoothing=spec.label_smoothing
            )
            loss = (each * weights[rows].repeat_interleave(count)).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(rows)
        losses.append(total / len(inputs))
    members.train(False)
    return losses


def fit_weigh(
    weigh: Weigh,
    words: Float[Tensor, "b classes"],
    voice: Float[Tensor, "b classes"],
    voice_alone: Float[Tensor, "b classes"],
    labels: Int[Tensor, " b"],
) -> None:
    """Fit weights and absent-modality vectors by maximum likelihood, each turn with words, with both, and with voice.

    Args:
        weigh: What is fitted.
        words: The words' log probabilities of held-out turns.
        voice: The log probabilities of voices simulated for them, which may be neutral or contradict.
        voice_alone: Likewise, for the turns without words.
        labels: Class ids.
    """
    yes, no = torch.ones(len(labels), dtype=torch.bool), torch.zeros(len(labels), dtype=torch.bool)
    optimiser = torch.optim.LBFGS(weigh.parameters(), max_iter=200, line_search_fn="strong_wolfe")
    nll = nn.NLLLoss()

    def closure() -> Tensor:
        optimiser.zero_grad()
        cases = (
            weigh(words, yes, voice, no),
            weigh(words, yes, voice, yes),
            weigh(words, no, voice_alone, yes),
        )
        loss: Tensor = torch.stack([nll(case, labels) for case in cases]).sum()
        loss.backward()
        return loss

    optimiser.step(closure)
