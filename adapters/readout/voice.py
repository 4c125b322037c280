"""The voice classifier: a turn's summary, normalised by speaker, in; class scores out.

What carries over between corpora and languages is how a voice departs from its own mean, so the speaker's running mean
is subtracted first. It starts at the mean of all training voices, which counts as a few turns. Three ensembles take
three views (movement alone, all prosody, prosody and speech states), and their log probabilities are averaged: each
alone is better on some corpus.

Letters: ``b`` turns, ``summary`` width of a voice's vector, ``classes``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from adapters.readout.ensemble import Ensemble, mean_log_probs
from adapters.readout.voice_summary import EVERYTHING, MOVEMENT, PROSODY, SUMMARY_DIM

View = tuple[tuple[int, ...], float]
"""Columns of a summary, and the weight of the ensemble that takes them."""

_VIEWS = ((MOVEMENT, 0.25), (PROSODY, 0.25), (EVERYTHING, 0.5))  # with equal weights the training corpora suffer
_PRIOR_TURNS = 6.0  # turns that the mean voice counts as


class VoiceClassifier(nn.Module):
    """Classifies voices.

    Args:
        hidden: Width of each member's hidden layer.
        members: Networks of each view.
        classes: How many.
        dropout: On inputs and hidden layers.
        views: The columns of each ensemble.
    """

    mean_voice: Tensor

    def __init__(
        self,
        hidden: int,
        members: int,
        classes: int,
        dropout: tuple[float, float],
        views: Sequence[View] = _VIEWS,
    ) -> None:
        super().__init__()
        self._sizes = hidden, members, classes, dropout
        self._views = tuple(views)
        self.register_buffer("mean_voice", torch.zeros(SUMMARY_DIM))
        self.views = nn.ModuleList(Ensemble(len(columns), hidden, members, classes, dropout) for columns, _ in views)

    def fresh(self) -> VoiceClassifier:
        """An untrained one of the same sizes."""
        return VoiceClassifier(*self._sizes, self._views).train(False)

    def normalise(
        self,
        summary: Float[Tensor, "b summary"],
        before: Float[Tensor, "b summary"],
        turns: Float[Tensor, " b"],
    ) -> Float[Tensor, "b summary"]:
        """Subtract the speaker's mean.

        Args:
            summary: The turns to classify.
            before: The sum of the speaker's earlier summaries.
            turns: How many those are.
        """
        mean = (before + summary + _PRIOR_TURNS * self.mean_voice) / (turns + 1 + _PRIOR_TURNS)[:, None]
        return summary - mean

    def columns(self, normalised: Float[Tensor, "b summary"], view: int) -> Float[Tensor, "b columns"]:
        """The columns of one view."""
        return normalised[:, list(self._views[view][0])]

    def forward(self, normalised: Float[Tensor, "b summary"]) -> Float[Tensor, "b classes"]:
        """Log probabilities under balanced classes."""
        scores = [mean_log_probs(ensemble(self.columns(normalised, view))) for view, ensemble in enumerate(self.views)]
        weighted = sum(weight * score for (_, weight), score in zip(self._views, scores, strict=True))
        return torch.log_softmax(torch.as_tensor(weighted), dim=-1)
