"""Text-Guide-Mixer (paper, section 3.3): the words guide voice and face."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from adapters.mse.encoders import COMMON


class TextGuideMixer(nn.Module):
    """``z = a * t + v * t`` with ``t`` the projected mean of the text's embeddings; ``*`` is the Hadamard product."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.text_mlp = nn.Linear(d, COMMON)

    def forward(
        self,
        text: Float[Tensor, "b words d"],
        audio: Float[Tensor, "b 256"],
        video: Float[Tensor, "b 256"],
        present: Bool[Tensor, "b words"] | None = None,
    ) -> Float[Tensor, "b 256"]:
        """Mix.

        Args:
            text: Embeddings of the text's tokens.
            audio: Encoded voice.
            video: Encoded face.
            present: Which tokens are no padding. The reference averages over the padding too; so does this when
                nothing is given.
        """
        if present is None:
            mean = text.mean(1)
        else:
            mask = present[..., None].to(text.dtype)
            mean = (text * mask).sum(1) / mask.sum(1).clamp(min=1)
        guide = self.text_mlp(mean)
        mixed: Tensor = torch.mul(audio, guide) + torch.mul(video, guide)
        return mixed
