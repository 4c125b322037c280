"""Voices and faces for dialogues that have none: a simulated multimodal set.

No conversational audio or video with emotion labels is available, so held-out voices and faces are assigned to the
turns of dialogues. People often sound and look neutral whatever they say, and sometimes contradict their words: the
shares below say how often. Every result obtained with this is a result about this simulation.

Letters: ``turns`` of the dialogues, ``pool`` voices or faces that may be drawn.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from adapters.contract import LabelSet

SHARES = {"matching": 0.5, "neutral": 0.4, "contradicting": 0.1}  # of voices, and of faces
CONFLICT = {"matching": 0.0, "neutral": 0.0, "contradicting": 1.0}  # any emotion, whatever the words
PRESENT = {"words": 0.95, "voice": 0.8, "face": 0.6}  # how often each is there, where all three may be missing


def draw(
    turns: Int[Tensor, " turns"],
    pool: Int[Tensor, " pool"],
    labels: LabelSet,
    seed: int,
    shares: Mapping[str, float] = SHARES,
) -> Int[Tensor, " turns"]:
    """Choose a voice or a face for each turn.

    Args:
        turns: Class ids of the turns.
        pool: Class ids of what may be chosen; every class must be there.
        labels: The classes; one of them is neutral.
        seed: Of the draw.
        shares: How many match, are neutral, and contradict, in the order of `SHARES`.

    Returns:
        For each turn an index into the pool.
    """
    random = np.random.default_rng(seed)
    pools = [np.flatnonzero(pool.numpy() == label) for label in range(len(labels))]
    kinds = random.choice(len(shares), size=len(turns), p=list(shares.values()))
    others = random.integers(len(pools), size=len(turns))
    neutral = np.full(len(turns), labels.labels.index("neutral"))
    wanted = np.choose(kinds, [turns.numpy(), neutral, others])
    return torch.tensor([int(random.choice(pools[label])) for label in wanted])
