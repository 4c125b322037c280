"""The default adapter: what the words say and what the voice says, each judged by itself, then weighed.

Both readers give log probabilities. They are added up with a learned temperature each, like two witnesses who saw the
same turn independently: the voice reader is trained on balanced classes, so that its scores are evidence alone and the
prior comes from the words. A reader that has nothing to read is replaced by a learned vector.

Letters: ``b`` turns, ``read`` layers, ``d`` the LLM's width, ``summary`` width of a voice's vector, ``classes``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from adapters.readout.members import Members, average


@dataclass(frozen=True, slots=True)
class JudgeShape:
    """Sizes of the adapter; stored in checkpoints.

    Attributes:
        layers: Layers of the LLM that are read.
        width: The LLM's width.
        summary: Width of a voice's vector.
        classes: How many.
        members: Networks that are averaged, for words and voice alike.
        words_hidden: Width of a member that reads words.
        voice_hidden: Width of a member that hears voices.
    """

    layers: tuple[int, ...]
    width: int
    summary: int
    classes: int
    members: int = 5
    words_hidden: int = 128
    voice_hidden: int = 48


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is to judge a batch of turns by; rows that are not given hold anything finite.

    Attributes:
        words: Pooled states of each turn's words.
        has_words: Which turns have words.
        voice: Summaries of each turn's voice.
        has_voice: Which turns have a voice.
    """

    words: Float[Tensor, "b read 2 d"]
    has_words: Bool[Tensor, " b"]
    voice: Float[Tensor, "b summary"]
    has_voice: Bool[Tensor, " b"]


class Judge(nn.Module):
    """Weighs words and voice.

    Args:
        shape: Its sizes.
        words_dropout: On the inputs and hidden layers of the words' members.
        voice_dropout: Likewise for the voice's.
    """

    def __init__(
        self,
        shape: JudgeShape,
        words_dropout: tuple[float, float] = (0.0, 0.0),
        voice_dropout: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        super().__init__()
        words_dim = len(shape.layers) * 2 * shape.width
        self.words = Members(words_dim, shape.words_hidden, shape.members, shape.classes, words_dropout)
        self.voice = Members(shape.summary, shape.voice_hidden, shape.members, shape.classes, voice_dropout)
        self.weigh = Weigh(shape.classes)

    def forward(self, evidence: Evidence) -> Float[Tensor, "b classes"]:
        """Calibrated log probabilities."""
        words = average(self.words(evidence.words.flatten(1)))
        voice = average(self.voice(evidence.voice))
        fused: Tensor = self.weigh(words, evidence.has_words, voice, evidence.has_voice)
        return fused


class Weigh(nn.Module):
    """Adds up the readers' log probabilities, each times its weight; learned once the readers are."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.words_weight = nn.Parameter(torch.ones(()))
        self.voice_weight = nn.Parameter(torch.ones(()))
        self.no_words = nn.Parameter(torch.zeros(classes))
        self.no_voice = nn.Parameter(torch.zeros(classes))

    def forward(
        self,
        words: Float[Tensor, "b classes"],
        has_words: Bool[Tensor, " b"],
        voice: Float[Tensor, "b classes"],
        has_voice: Bool[Tensor, " b"],
    ) -> Float[Tensor, "b classes"]:
        """Log probabilities of the turns."""
        said = torch.where(has_words[:, None], words * self.words_weight, self.no_words)
        heard = torch.where(has_voice[:, None], voice * self.voice_weight, self.no_voice)
        return (said + heard).log_softmax(-1)
