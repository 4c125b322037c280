"""Multi-Scale Fusion (paper, section 3.4): one mixed vector in, pseudo tokens out."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from adapters.mse.encoders import COMMON


def _scale(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(COMMON, width), nn.GELU(), nn.Linear(width, COMMON))


class MultiScaleFusion(nn.Module):
    """Three bottlenecks of widths d/8, d/32 and d/16, mixed by three learned weights, projected to the LLM's width.

    Every pseudo token is then a multiple of one vector (``Linear(1, n)``): n of them span one dimension. That is the
    paper's projector, kept for fidelity; ``full_rank`` gives each token a projection of its own instead.
    """

    def __init__(self, d: int, n: int, *, full_rank: bool = False) -> None:
        super().__init__()
        self.scale1, self.scale2, self.scale3 = _scale(d // 8), _scale(d // 32), _scale(d // 16)
        self.kernel = nn.Linear(3, 1)
        self.widen = nn.Linear(COMMON, d * n if full_rank else d)
        self.spread = None if full_rank else nn.Linear(1, n)
        self._n = n

    def forward(self, mixed: Float[Tensor, "b 256"]) -> Float[Tensor, "b n d"]:
        """Pseudo tokens."""
        scales = torch.stack([self.scale1(mixed), self.scale2(mixed), self.scale3(mixed)], dim=-1)
        wide: Tensor = self.widen(self.kernel(scales)[..., 0])
        if self.spread is None:
            tokens: Tensor = wide.unflatten(-1, (self._n, -1))
        else:
            tokens = self.spread(wide[..., None]).transpose(1, 2)
        return tokens
