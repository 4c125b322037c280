"""Pseudo tokens behind the dialogue: voice and face as input to the frozen LLM, and a learned question.

The better variant of MSE-Adapter (see `adapters.mse`): its Text-Guide-Mixer and Multi-Scale Fusion make the tokens,
each with a projection of its own. In place of its encoders stand the classifiers of voice and face, whose log
probabilities are what goes in: a few thousand clips teach an encoder the clips (docs/results.md, "Pseudo tokens"). The
tokens stand after the turn instead of before it, so that the dialogue is read once (see `adapters.llm.prefix`). The
answer is the middle layers' state at the last position; nothing is generated. An absent modality has a learned vector
in its place.

Letters: ``b`` turns, ``d`` the LLM's width, ``n`` pseudo tokens, ``q`` positions of the question, ``read`` layers,
``classes``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from adapters.llm.backbone import Backbone
from adapters.llm.prefix import Prefix
from adapters.mse.encoders import COMMON
from adapters.mse.fusion import MultiScaleFusion
from adapters.mse.mixer import TextGuideMixer
from adapters.readout.ensemble import Standardiser


@dataclass(frozen=True, slots=True)
class PseudoShape:
    """Sizes; stored in checkpoints.

    Attributes:
        tokens: Pseudo tokens that carry voice and face.
        question: Positions of the learned question behind them.
    """

    tokens: int
    question: int


@dataclass(frozen=True, slots=True, eq=False)
class Nonverbal:
    """What voice and face of some turns suggest; rows of what is absent hold anything finite.

    Attributes:
        voice: Log probabilities of each turn's voice.
        has_voice: Which turns have one.
        face: Log probabilities of each turn's face.
        has_face: Which turns have one.
    """

    voice: Float[Tensor, "b classes"]
    has_voice: Bool[Tensor, " b"]
    face: Float[Tensor, "b classes"]
    has_face: Bool[Tensor, " b"]

    @classmethod
    def none(cls, turns: int, classes: int) -> Self:
        """Turns with neither."""
        nothing, absent = torch.zeros(turns, classes), torch.zeros(turns, dtype=torch.bool)
        return cls(nothing, absent, nothing, absent)

    def rows(self, chosen: Int64[Tensor, " some"]) -> Nonverbal:
        """Some of the turns."""
        return Nonverbal(self.voice[chosen], self.has_voice[chosen], self.face[chosen], self.has_face[chosen])


class PseudoTokens(nn.Module):
    """Makes the suffix of each turn.

    Args:
        d: The LLM's width.
        shape: How many tokens.
        classes: Of the classifiers of voice and face.
    """

    scale: Tensor

    def __init__(self, d: int, shape: PseudoShape, classes: int) -> None:
        super().__init__()
        self.voice = nn.Sequential(Standardiser(classes), nn.Linear(classes, COMMON))
        self.face = nn.Sequential(Standardiser(classes), nn.Linear(classes, COMMON))
        self.no_voice = nn.Parameter(torch.ones(COMMON))
        self.no_face = nn.Parameter(torch.zeros(COMMON))
        self.mixer = TextGuideMixer(d)
        self.fusion = MultiScaleFusion(d, shape.tokens, full_rank=True)
        self.question = nn.Parameter(torch.zeros(shape.question, d))
        self.register_buffer("scale", torch.ones(()))

    @torch.no_grad()
    def initialise(self, question: Float[Tensor, "q d"]) -> None:
        """Begin with a question in words, and with tokens at the scale of the LLM's own embeddings.

        Args:
            question: Embeddings of its tokens.
        """
        self.question.copy_(question)
        self.scale.copy_(question.std())

    @torch.no_grad()
    def measure(self, voices: Float[Tensor, "b classes"], faces: Float[Tensor, "b classes"] | None) -> None:
        """Take the scales of the log probabilities of training voices, and of faces, if there are any."""
        for module, rows in ((self.voice, voices), (self.face, faces)):
            standardise = module[0]
            assert isinstance(standardise, Standardiser)
            if rows is not None:
                standardise.measure(rows)

    def forward(self, words: Float[Tensor, "b d"], nonverbal: Nonverbal) -> Float[Tensor, "b positions d"]:
        """Pseudo tokens, then the question.

        Args:
            words: Mean embedding of each turn's own words.
            nonverbal: What each turn's voice and face suggest.
        """
        audio = torch.where(nonverbal.has_voice[:, None], self.voice(nonverbal.voice), self.no_voice)
        video = torch.where(nonverbal.has_face[:, None], self.face(nonverbal.face), self.no_face)
        mixed = self.mixer(words[:, None] / self.scale, audio, video)
        tokens = self.fusion(mixed) * self.scale
        return torch.cat([tokens, self.question.expand(len(words), -1, -1)], dim=1)


def query(
    pseudo: PseudoTokens,
    backbone: Backbone,
    prefix: Prefix,
    ends: Int64[Tensor, " b"],
    words: Float[Tensor, "b d"],
    nonverbal: Nonverbal,
) -> Float[Tensor, "b read d"]:
    """Run each turn's suffix through the LLM: the states at its last position.

    Args:
        pseudo: Makes the suffixes.
        backbone: The frozen LLM.
        prefix: The dialogue.
        ends: Where each turn ends in it.
        words: Mean embedding of each turn's own words.
        nonverbal: Each turn's voice and face.
    """
    states = backbone.suffixes(prefix, pseudo(words, nonverbal), ends)
    return states[:, :, -1].transpose(0, 1)


class AnswerClassifier(nn.Module):
    """Class scores from the states at the suffix's last position, while the pseudo tokens are trained."""

    def __init__(self, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.drop = nn.Dropout(dropout)
        self.linear = nn.Linear(width, classes)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, states: Float[Tensor, "b read d"]) -> Float[Tensor, "b classes"]:
        """Scores."""
        scores: Tensor = self.linear(self.drop(self.norm(states.flatten(1))))
        return scores
