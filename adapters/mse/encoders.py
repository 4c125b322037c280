"""Unimodal encoders (paper, section 3.2): a feature sequence in, one vector of the common width out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

COMMON = 256  # width that all modalities are brought to


@dataclass(frozen=True, slots=True)
class SequenceShape:
    """Width of a modality's frames and of the LSTM that reads them."""

    dim: int
    hidden: int


class SequenceEncoder(nn.Module):
    """A one-way LSTM's last state, projected. Padding after each sequence's own length is not read."""

    def __init__(self, shape: SequenceShape) -> None:
        super().__init__()
        self.rnn = nn.LSTM(shape.dim, shape.hidden, batch_first=True)
        self.linear = nn.Linear(shape.hidden, COMMON)

    def forward(self, frames: Float[Tensor, "b time dim"], lengths: Int[Tensor, " b"]) -> Float[Tensor, "b 256"]:
        """Encode.

        Args:
            frames: Padded at the end.
            lengths: Frames of each sequence, at least one.
        """
        packed = pack_padded_sequence(frames, lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, (last, _) = self.rnn(packed)
        projected: Tensor = self.linear(last[-1])
        return projected


class LiveEncoder(nn.Module):
    """A sequence encoder for frames as they come live: standardised, and with a learned vector where there are none.

    The paper has neither: its frames are prepared beforehand, and every turn has both.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape: SequenceShape) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape.dim))
        self.register_buffer("std", torch.ones(shape.dim))
        self.encoder = SequenceEncoder(shape)
        self.absent = nn.Parameter(torch.zeros(COMMON))

    @torch.no_grad()
    def measure(self, frames: Float[Tensor, "time dim"]) -> None:
        """Take mean and standard deviation from training frames, at least two."""
        self.mean.copy_(frames.mean(0))
        self.std.copy_(frames.std(0) + 1e-4)

    def forward(self, frames: Float[Tensor, "b time dim"], lengths: Int[Tensor, " b"]) -> Float[Tensor, "b 256"]:
        """Encode.

        Args:
            frames: Padded at the end.
            lengths: Frames of each sequence; none where it is absent.
        """
        if frames.shape[1] == 0:
            return self.absent.expand(len(frames), -1)
        encoded = self.encoder((frames - self.mean) / self.std, lengths.clamp(min=1))
        return torch.where((lengths > 0).to(encoded.device)[:, None], encoded, self.absent)
