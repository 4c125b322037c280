"""Dimensions of affect, such as valence and arousal: a turn's pooled states in, one number per dimension out.

An ensemble of small networks (`adapters.readout.ensemble`) whose outputs are averaged. It reads the same states as an
emotion adapter beside it, so the LLM reads the turn once for both.

Letters: ``b`` turns, ``read`` layers, ``parts`` mean and last state, ``d`` the LLM's width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from adapters.readout.ensemble import Ensemble

PARTS = 2


@dataclass(frozen=True, slots=True)
class DimensionShape:
    """The sizes of a `DimensionHead`.

    Attributes:
        layers: Layers of the LLM that it reads.
        width: The LLM's.
        dimensions: How many numbers it tells.
        members: Networks in the ensemble.
        hidden: Hidden width of each.
    """

    layers: tuple[int, ...]
    width: int
    dimensions: int
    members: int
    hidden: int


class DimensionHead(nn.Module):
    """Rates turns.

    Args:
        shape: Its sizes.
        dropout: On the input and on the hidden layer, in training.
    """

    def __init__(self, shape: DimensionShape, dropout: tuple[float, float] = (0.0, 0.0)) -> None:
        super().__init__()
        dim = len(shape.layers) * PARTS * shape.width
        self.ensemble = Ensemble(dim, shape.hidden, shape.members, shape.dimensions, dropout)

    def forward(self, words: Float[Tensor, "b read parts d"]) -> Float[Tensor, "b dimensions"]:
        """One number per dimension, from -1 to 1."""
        mean: Tensor = self.ensemble(words[:, :, :PARTS].flatten(1)).mean(1)
        return torch.clamp(mean, -1.0, 1.0)
