"""The dialogue as a prefix: read once by the frozen LLM, and shared by every suffix.

The LLM is causal, so its keys and values for a dialogue never change with what follows. Several suffixes (pseudo tokens
and a question, one for each turn) are run against them at once: each sees the dialogue up to the end of its own turn,
itself, and none of the others. Gradients flow into a suffix and stop at the prefix.

Live, a dialogue grows turn by turn: a `CachedDialogue` is what was read by now, and the next turn continues it.

Letters: ``time`` tokens of the dialogue, ``b`` suffixes of ``s`` positions each, ``d`` the LLM's width, ``heads`` that
keys and values have, ``h`` the width of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from transformers import DynamicCache


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """Keys and values of a text, by layer.

    Attributes:
        layers: For each layer its keys and its values.
    """

    layers: tuple[tuple[Float[Tensor, "1 heads time h"], Float[Tensor, "1 heads time h"]], ...]

    @property
    def length(self) -> int:
        """Tokens."""
        return int(self.layers[0][0].shape[2])

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return sum(part.numel() * part.element_size() for layer in self.layers for part in layer)

    def first(self, length: int) -> Prefix:
        """The beginning of it; nothing is copied."""
        return Prefix(tuple((keys[:, :, :length], values[:, :, :length]) for keys, values in self.layers))

    def cache(self) -> DynamicCache:
        """A cache that a model may append to; the prefix itself is left as it is."""
        cache = DynamicCache()
        for index, (keys, values) in enumerate(self.layers):
            cache.update(keys, values, index)
        return cache

    @classmethod
    def of(cls, cache: DynamicCache) -> Prefix:
        """What a model has written into a cache."""
        layers: Any = cache.layers
        return cls(tuple((layer.keys.detach(), layer.values.detach()) for layer in layers))


@dataclass(frozen=True, slots=True, eq=False)
class CachedDialogue:
    """The part of a dialogue that was read; a value, so that keeping an older one forgets what came after it.

    Attributes:
        ids: The tokens that were read.
        prefix: Their keys and values.
    """

    ids: Int64[Tensor, " time"]
    prefix: Prefix

    def shared_length(self, ids: Int64[Tensor, " other"]) -> int:
        """How many tokens at the beginning of another text are cached."""
        length = min(len(self.ids), len(ids))
        differing = torch.nonzero(self.ids[:length] != ids[:length])
        return int(differing[0]) if len(differing) else length


def suffix_mask(
    length: int, ends: Int64[Tensor, " b"], positions: int, window: int | None = None
) -> Bool[Tensor, "bs keys"]:
    """Which keys each position of each suffix may see; suffixes lie one behind the other after the prefix.

    Args:
        length: Tokens of the prefix.
        ends: For each suffix, how many of them it continues.
        positions: Of one suffix, ``s``.
        window: How many positions, its own the last of them, one may see; None: all before it.
    """
    count = len(ends)
    prefix = (torch.arange(length) < ends[:, None]).repeat_interleave(positions, 0)
    causal = torch.ones(positions, positions, dtype=torch.bool).tril()
    visible = torch.cat([prefix, torch.block_diag(*[causal] * count).bool()], dim=1)
    if window is None:
        return visible
    own = suffix_positions(ends, positions)
    return visible & (own[:, None] - torch.cat([torch.arange(length), own]) < window)


def suffix_positions(ends: Int64[Tensor, " b"], positions: int) -> Int64[Tensor, " bs"]:
    """The position number of each suffix token: each suffix counts on from where its turn ended."""
    return (ends[:, None] + torch.arange(positions)).flatten()
