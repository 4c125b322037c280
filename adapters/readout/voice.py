"""The voice classifier: a turn's summary, normalised by speaker, in; class scores out.

What carries over between corpora and languages is how a voice departs from its own mean, so the speaker's running mean
is subtracted first. It starts at the mean of all training voices, which counts as a few turns. Until the speaker is
known, what is left tells who speaks more than how. So the directions in which calm voices differ most from speaker to
speaker are taken out: nuisance attribute projection (Solomonoff et al., "Advances in channel compensation for SVM
speaker recognition", ICASSP 2005). Two ensembles take two views: prosody as it is, and everything without those
directions. Their log probabilities are averaged: each alone is better on some corpus.

Letters: ``b`` turns, ``summary`` width of a voice's vector, ``speakers`` directions, ``classes``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from adapters.readout.ensemble import Ensemble, mean_log_probs
from adapters.readout.voice_summary import EVERYTHING, PROSODY, SUMMARY_DIM

SPEAKERS = 10
"""Directions that are taken out; from 10 to 20 the figures stay within the spread of seeds."""


class View(NamedTuple):
    """What an ensemble takes.

    Attributes:
        columns: Of a summary.
        weight: Of its scores.
        without_speakers: Whether the directions of speakers are taken out before.
    """

    columns: tuple[int, ...]
    weight: float
    without_speakers: bool = True


VIEWS = View(PROSODY, 0.4, without_speakers=False), View(EVERYTHING, 0.6)
_PRIOR_TURNS = 6.0  # turns that the mean voice counts as


class VoiceClassifier(nn.Module):
    """Classifies voices.

    Args:
        hidden: Width of each member's hidden layer.
        members: Networks of each view.
        classes: How many.
        dropout: On inputs and hidden layers.
        views: What each ensemble takes.

    Attributes:
        mean_voice: The mean summary of all training voices.
        spread: The standard deviation of each column.
        speakers: Directions at right angles in which calm voices differ, in units of ``spread``.
    """

    mean_voice: Tensor
    spread: Tensor
    speakers: Tensor

    def __init__(
        self,
        hidden: int,
        members: int,
        classes: int,
        dropout: tuple[float, float],
        views: Sequence[View] = VIEWS,
    ) -> None:
        super().__init__()
        self._sizes = hidden, members, classes, dropout
        self._views = tuple(views)
        self.register_buffer("mean_voice", torch.zeros(SUMMARY_DIM))
        self.register_buffer("spread", torch.ones(SUMMARY_DIM))
        self.register_buffer("speakers", torch.zeros(SPEAKERS, SUMMARY_DIM))
        self.views = nn.ModuleList(Ensemble(len(view.columns), hidden, members, classes, dropout) for view in views)

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
        columns, _, without_speakers = self._views[view]
        if without_speakers:
            scaled = normalised / self.spread
            normalised = (scaled - scaled @ self.speakers.T @ self.speakers) * self.spread
        return normalised[:, list(columns)]

    def forward(self, normalised: Float[Tensor, "b summary"]) -> Float[Tensor, "b classes"]:
        """Log probabilities under balanced classes."""
        scores = [mean_log_probs(ensemble(self.columns(normalised, view))) for view, ensemble in enumerate(self.views)]
        weighted = sum(view.weight * score for view, score in zip(self._views, scores, strict=True))
        return torch.log_softmax(torch.as_tensor(weighted), dim=-1)
