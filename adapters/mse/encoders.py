"""Unimodal encoders (paper, section 3.2): a feature sequence in, one vector of the common width out."""

from __future__ import annotations

from dataclasses import dataclass

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
