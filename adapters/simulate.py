"""Voices for dialogues that have none: a simulated multimodal set.

No conversational audio with emotion labels can be had, so held-out voices are put over MELD's turns. People often sound
neutral whatever they say, and sometimes sound otherwise than they speak: the shares below say how often. Every figure
made with this is a figure about this simulation.

Letters: ``turns`` of the dialogues, ``voices`` that may be drawn.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from adapters.contract import MELD_LABELS

SHARES = {"matching": 0.5, "neutral": 0.4, "contradicting": 0.1}
_NEUTRAL = MELD_LABELS.labels.index("neutral")


def draw_voices(turns: Int[Tensor, " turns"], voices: Int[Tensor, " voices"], seed: int) -> Int[Tensor, " turns"]:
    """Choose a voice for each turn.

    Args:
        turns: Class ids of the turns.
        voices: Class ids of the voices; every class must be there.
        seed: Of the draw.

    Returns:
        For each turn the index of its voice.
    """
    random = np.random.default_rng(seed)
    pools = [np.flatnonzero(voices.numpy() == label) for label in range(len(MELD_LABELS))]
    kinds = random.choice(len(SHARES), size=len(turns), p=list(SHARES.values()))
    others = random.integers(len(pools), size=len(turns))
    wanted = np.choose(kinds, [turns.numpy(), np.full(len(turns), _NEUTRAL), others])
    return torch.tensor([int(random.choice(pools[label])) for label in wanted])
