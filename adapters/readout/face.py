"""The face classifier: a turn's frames, summarised in one vector, in; class scores out.

An expression shows for part of a turn, so beside the mean of the frames the vector holds the peak of each class. Only
frames with a face are there: how many are missing is no evidence of an emotion.

Letters: ``frames`` with a face, ``dim`` the width of one; ``b`` turns, ``summary`` a turn's width, ``classes``.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32
from torch import Tensor, nn

from adapters.features.visual import CHANNELS, SPEC
from adapters.readout.ensemble import Ensemble, mean_log_probs

FACE_DIM = SPEC.dim + (SPEC.dim - CHANNELS)


def summarise_face(values: Float32[np.ndarray, "frames dim"]) -> Float32[np.ndarray, " summary"]:
    """The vector of one turn.

    Args:
        values: At least one frame, as `adapters.features.visual.SPEC` has them.
    """
    return np.concatenate([values.mean(0), values[:, CHANNELS:].max(0)]).astype(np.float32)


class FaceClassifier(nn.Module):
    """Classifies faces.

    Args:
        hidden: Width of each member's hidden layer.
        members: Networks.
        classes: How many.
        dropout: On inputs and hidden layers.
    """

    def __init__(self, hidden: int, members: int, classes: int, dropout: tuple[float, float]) -> None:
        super().__init__()
        self.ensemble = Ensemble(FACE_DIM, hidden, members, classes, dropout)

    def forward(self, faces: Float[Tensor, "b summary"]) -> Float[Tensor, "b classes"]:
        """Log probabilities under balanced classes."""
        return mean_log_probs(self.ensemble(faces))
