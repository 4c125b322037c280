"""Fitting the two readers and the scales that weigh them.

Letters: ``b`` rows, ``dim`` the width of an input row, ``classes``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from adapters.progress import progress
from adapters.readout.judge import Weigh
from adapters.readout.members import Members
from adapters.recipe import FitSpec


@dataclass(frozen=True, slots=True)
class Curves:
    """How fitting went, epoch by epoch.

    Attributes:
        losses: Mean training loss.
        scores: Score on held-out rows, where one was asked for.
    """

    losses: tuple[float, ...]
    scores: tuple[float, ...] = ()


def best_epoch(scores: Sequence[float]) -> int:
    """The last epoch with the highest score, counted from 0."""
    return max(range(len(scores)), key=lambda epoch: (scores[epoch], epoch))


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
    score: Callable[[], float] | None = None,
) -> Curves:
    """Fit all members at once.

    Args:
        members: Fresh ones; their scales are measured here.
        inputs: Training rows.
        labels: Their class ids.
        weights: How much each row counts.
        spec: How to fit.
        score: How well the members do on held-out rows, higher is better; asked after each epoch if it is given.

    Returns:
        How it went. With a score and patience, the members are those of the best epoch.
    """
    members.standardise.measure(inputs)
    offset = spec.adjust * log_prior(labels, weights, members.bias.shape[1])
    count = len(members.outer)
    optimiser = torch.optim.AdamW(members.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)
    steps = spec.epochs * -(-len(inputs) // spec.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, spec.learning_rate, total_steps=steps, pct_start=0.1)
    losses: list[float] = []
    held_out: list[float] = []
    best: dict[str, Tensor] = {}
    for _ in progress(range(spec.epochs), "fitting"):
        members.train()
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
        if score is not None:
            held_out.append(score())
            since = len(held_out) - 1 - best_epoch(held_out)
            if spec.patience and since == 0:
                best = {name: value.clone() for name, value in members.state_dict().items()}
            if spec.patience and since >= spec.patience:
                break
    if best:
        members.load_state_dict(best)
    return Curves(tuple(losses), tuple(held_out))


def fit_weigh(
    weigh: Weigh,
    words: Float[Tensor, "b classes"],
    words_beside: Float[Tensor, "b classes"],
    voice: Float[Tensor, "b classes"],
    voice_alone: Float[Tensor, "b classes"],
    labels: Int[Tensor, " b"],
) -> None:
    """Fit weights and absent-modality vectors by maximum likelihood, each turn with words, with both, and with voice.

    Args:
        weigh: What is fitted.
        words: The words' log probabilities of held-out turns.
        words_beside: Likewise, where the LLM was told of the voice.
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
            weigh(words_beside, yes, voice, yes),
            weigh(words, no, voice_alone, yes),
        )
        loss: Tensor = torch.stack([nll(case, labels) for case in cases]).sum()
        loss.backward()
        return loss

    optimiser.step(closure)
