"""Ensembles of small classifiers; for words: pooled hidden states of a turn in, class scores out.

Mean and last hidden state of the turn's own words, from several middle layers of the LLM, standardised, through small
networks with one hidden layer each. The members differ in their random start only; their probabilities are averaged,
which steadies both the class and the confidence.

Letters: ``b`` turns, ``read`` layers, ``d`` the LLM's width, ``members`` networks, ``classes``.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

_OUTLIER = 6.0  # standard deviations at which an input is clipped; the LLM has a few huge dimensions


def pool(states: Float[Tensor, "read time d"], start: int, end: int) -> Float[Tensor, "read 2 d"]:
    """Mean and last state of the tokens ``start`` to ``end`` (not included, at least one)."""
    words = states[:, start:end]
    return torch.stack([words.mean(1), words[:, -1]], dim=1)


class Standardiser(nn.Module):
    """Subtracts each column's mean and divides by its standard deviation, both measured on the training data."""

    mean: Tensor
    std: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))

    def measure(self, x: Float[Tensor, "b dim"]) -> None:
        """Take mean and standard deviation from training data."""
        self.mean.copy_(x.mean(0))
        self.std.copy_(x.std(0) + 1e-4)

    def forward(self, x: Float[Tensor, "b dim"]) -> Float[Tensor, "b dim"]:
        """Standardised columns, clipped."""
        return ((x - self.mean) / self.std).clamp(-_OUTLIER, _OUTLIER)


class Ensemble(nn.Module):
    """Several small networks side by side: one matrix product serves them all.

    Args:
        dim: Width of the input.
        hidden: Width of each member's hidden layer.
        members: How many.
        classes: How many.
        dropout: On the input and on the hidden layer.
    """

    def __init__(self, dim: int, hidden: int, members: int, classes: int, dropout: tuple[float, float]) -> None:
        super().__init__()
        self.standardise = Standardiser(dim)
        self.drop_input, self.drop_hidden = nn.Dropout(dropout[0]), nn.Dropout(dropout[1])
        self.inner = nn.Linear(dim, members * hidden)
        self.outer = nn.Parameter(torch.empty(members, hidden, classes).uniform_(-(hidden**-0.5), hidden**-0.5))
        self.bias = nn.Parameter(torch.zeros(members, classes))

    def forward(self, x: Float[Tensor, "b dim"]) -> Float[Tensor, "b members classes"]:
        """Each member's class scores."""
        hidden = nn.functional.gelu(self.inner(self.drop_input(self.standardise(x))))
        grouped = self.drop_hidden(hidden).unflatten(1, (len(self.outer), -1))
        return torch.einsum("bmh,mhc->bmc", grouped, self.outer) + self.bias


def mean_log_probs(scores: Float[Tensor, "b members classes"]) -> Float[Tensor, "b classes"]:
    """Log of the members' mean probability."""
    return scores.log_softmax(-1).logsumexp(1) - torch.tensor(scores.shape[1]).log()
