"""What a sound tells of the emotion of a turn in which nobody says a word.

The factors are set by hand, not learned: there is no data of wordless turns with emotions that a model could be fitted
to. Laughter speaks for joy, sobs for sadness; a scream may be fear, anger or surprise; sighs, gasps and coughs say
nothing.

Letters: ``classes``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from adapters.contract import LabelSet, Sound

FACTORS: Mapping[str, Mapping[str, float]] = {
    "laughter": {"joy": 20.0},
    "crying": {"sadness": 20.0},
    "scream": {"fear": 10.0, "anger": 5.0, "surprise": 5.0},
}
"""By sound: how many times as probable each emotion becomes; those that are not named stay as they are."""


def telling(sounds: Sequence[Sound], labels: LabelSet) -> str | None:
    """The sound by which a turn without words is judged: the longest of those that tell one of the emotions."""
    known = [one for one in sounds if FACTORS.get(one.label, {}).keys() & set(labels.labels)]
    return max(known, key=lambda one: one.end_s - one.start_s).label if known else None


def with_sound(row: Float[Tensor, " classes"], sound: str, labels: LabelSet) -> Float[Tensor, " classes"]:
    """Probabilities once a sound is known."""
    weighed = row * torch.tensor([FACTORS[sound].get(label, 1.0) for label in labels.labels], dtype=row.dtype)
    result: Float[Tensor, " classes"] = weighed / weighed.sum()
    return result
