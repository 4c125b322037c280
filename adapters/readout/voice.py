"""The reader of voices: a turn's summary, heard against the speaker's own habits, in; class scores out.

What carries over between corpora and languages is how a voice departs from its own usual sound, so the speaker's
running mean is taken off first. Until enough turns were heard the mean of all training voices stands in for it. Three
groups of members look at three views (movement alone, all prosody, prosody and speech states), and their log
probabilities are averaged: each alone is better on some corpus.

Letters: ``b`` turns, ``summary`` width of a voice's vector, ``classes``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from adapters.readout.members import Members, average
from adapters.readout.voice_summary import EVERYTHING, MOVEMENT, PROSODY, SUMMARY_DIM

View = tuple[tuple[int, ...], float]
"""Columns of a summary, and what the members that see them count for."""

_VIEWS = ((MOVEMENT, 0.25), (PROSODY, 0.25), (EVERYTHING, 0.5))  # all alike, the corpora that were trained on suffer
_STANDS_FOR = 6.0  # turns that the mean of all training voices counts for


class VoiceReader(nn.Module):
    """Judges voices.

    Args:
        hidden: Width of each member's hidden layer.
        members: Members of each view.
        classes: How many.
        dropout: On inputs and hidden layers.
        views: What each group of members sees.
    """

    usual: Tensor

    def __init__(
        self,
        hidden: int,
        members: int,
        classes: int,
        dropout: tuple[float, float],
        views: Sequence[View] = _VIEWS,
    ) -> None:
        super().__init__()
        self._views = tuple(views)
        self.register_buffer("usual", torch.zeros(SUMMARY_DIM))
        self.views = nn.ModuleList(Members(len(seen), hidden, members, classes, dropout) for seen, _ in views)

    def centre(
        self,
        summary: Float[Tensor, "b summary"],
        before: Float[Tensor, "b summary"],
        turns: Float[Tensor, " b"],
    ) -> Float[Tensor, "b summary"]:
        """Take the speaker's mean off.

        Args:
            summary: The turns to be judged.
            before: The sum of the speaker's earlier summaries.
            turns: How many those are.
        """
        mean = (before + summary + _STANDS_FOR * self.usual) / (turns + 1 + _STANDS_FOR)[:, None]
        return summary - mean

    def seen(self, centred: Float[Tensor, "b summary"], view: int) -> Float[Tensor, "b seen"]:
        """What one group of members sees."""
        return centred[:, list(self._views[view][0])]

    def forward(self, centred: Float[Tensor, "b summary"]) -> Float[Tensor, "b classes"]:
        """Log probabilities under balanced classes."""
        votes = [average(members(self.seen(centred, view))) for view, members in enumerate(self.views)]
        weighed = sum(weight * vote for (_, weight), vote in zip(self._views, votes, strict=True))
        return torch.log_softmax(torch.as_tensor(weighed), dim=-1)
