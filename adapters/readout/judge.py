"""The default adapter: what the words say and what the voice says, each judged by itself, then weighed.

Both readers give log probabilities. They are added up with a learned temperature each, like two witnesses who saw the
same turn independently: the voice reader is trained on balanced classes, so that its scores are evidence alone and the
prior comes from the words. Where there are no words, a learned vector stands for them; where there is no voice, nothing
is added, and the words have a weight of their own.

Letters: ``b`` turns, ``read`` layers, ``d`` the LLM's width, ``summary`` width of a voice's vector, ``classes``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from adapters.readout.members import Members, average
from adapters.readout.pseudo import PseudoShape, PseudoTokens
from adapters.readout.voice import VoiceReader


@dataclass(frozen=True, slots=True)
class JudgeShape:
    """Sizes of the adapter; stored in checkpoints.

    Attributes:
        layers: Layers of the LLM that are read.
        width: The LLM's width.
        classes: How many.
        members: Networks that are averaged, for words and for each view of a voice.
        words_hidden: Width of a member that reads words.
        voice_hidden: Width of a member that hears voices.
        pseudo: Pseudo tokens that the LLM reads behind the turn, or None where it reads the dialogue only.
    """

    layers: tuple[int, ...]
    width: int
    classes: int
    members: int = 5
    words_hidden: int = 128
    voice_hidden: int = 48
    pseudo: PseudoShape | None = None

    @property
    def parts(self) -> int:
        """States that are read in each layer: mean and last of the words, and the answer to pseudo tokens if any."""
        return 2 if self.pseudo is None else 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is to judge a batch of turns by; rows that are not given hold anything finite.

    Attributes:
        words: States of each turn in each layer that is read (see `JudgeShape.parts`).
        has_words: Which turns have words.
        voice: Summary of each turn's voice.
        before: Sum of the summaries of the speaker's earlier turns.
        turns: How many those are.
        has_voice: Which turns have a voice.
    """

    words: Float[Tensor, "b read parts d"]
    has_words: Bool[Tensor, " b"]
    voice: Float[Tensor, "b summary"]
    before: Float[Tensor, "b summary"]
    turns: Float[Tensor, " b"]
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
        words_dim = len(shape.layers) * shape.parts * shape.width
        self.words = Members(words_dim, shape.words_hidden, shape.members, shape.classes, words_dropout)
        self.voice = VoiceReader(shape.voice_hidden, shape.members, shape.classes, voice_dropout)
        self.weigh = Weigh(shape.classes)
        self.pseudo = PseudoTokens(shape.width, shape.pseudo, voice_dropout[0]) if shape.pseudo else None

    def forward(self, evidence: Evidence) -> Float[Tensor, "b classes"]:
        """Calibrated log probabilities."""
        words = average(self.words(evidence.words.flatten(1)))
        voice = self.voice(self.voice.centre(evidence.voice, evidence.before, evidence.turns))
        fused: Tensor = self.weigh(words, evidence.has_words, voice, evidence.has_voice)
        return fused


class Weigh(nn.Module):
    """Adds up the readers' log probabilities, each times its weight; learned once the readers are."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.words_alone = nn.Parameter(torch.ones(()))
        self.words_beside_voice = nn.Parameter(torch.ones(()))
        self.voice_beside_words = nn.Parameter(torch.ones(()))
        self.voice_alone = nn.Parameter(torch.ones(()))
        self.no_words = nn.Parameter(torch.zeros(classes))

    def forward(
        self,
        words: Float[Tensor, "b classes"],
        has_words: Bool[Tensor, " b"],
        voice: Float[Tensor, "b classes"],
        has_voice: Bool[Tensor, " b"],
    ) -> Float[Tensor, "b classes"]:
        """Log probabilities of the turns."""
        words_weight = torch.where(has_voice, self.words_beside_voice, self.words_alone)
        voice_weight = torch.where(has_words, self.voice_beside_words, self.voice_alone) * has_voice
        said = torch.where(has_words[:, None], words * words_weight[:, None], self.no_words)
        return (said + voice * voice_weight[:, None]).log_softmax(-1)
