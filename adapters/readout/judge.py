"""The default adapter: what words, voice and face say, each judged by itself, then weighed.

Each reader gives log probabilities. They are added up, each times a learned weight, like witnesses who saw the same
turn independently: the readers of voices and faces are trained on balanced classes, so that their scores are evidence
alone and the prior comes from the words. How often voices and faces show something else than is felt is learned, too.
Where there are no words, a learned vector stands for them; what is absent otherwise adds nothing, and every combination
of witnesses has weights of its own.

Letters: ``b`` turns, ``read`` layers, ``d`` the LLM's width, ``summary`` width of a voice's vector, ``face`` width of a
face's, ``classes``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from adapters.readout.face import FaceReader
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
        members: Networks that are averaged, for words, faces and each view of a voice.
        words_hidden: Width of a member that reads words.
        voice_hidden: Width of a member that hears voices.
        pseudo: Pseudo tokens that the LLM reads behind the turn, or None where it reads the dialogue only.
        face_hidden: Width of a member that sees faces, or None where faces are not read.
    """

    layers: tuple[int, ...]
    width: int
    classes: int
    members: int = 5
    words_hidden: int = 128
    voice_hidden: int = 48
    pseudo: PseudoShape | None = None
    face_hidden: int | None = None

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
        face: Summary of each turn's face.
        has_face: Which turns have a face; none of them where faces are not read.
    """

    words: Float[Tensor, "b read parts d"]
    has_words: Bool[Tensor, " b"]
    voice: Float[Tensor, "b summary"]
    before: Float[Tensor, "b summary"]
    turns: Float[Tensor, " b"]
    has_voice: Bool[Tensor, " b"]
    face: Float[Tensor, "b face"]
    has_face: Bool[Tensor, " b"]


class Judge(nn.Module):
    """Weighs words, voice and face.

    Args:
        shape: Its sizes.
        words_dropout: On the inputs and hidden layers of the words' members.
        voice_dropout: Likewise for the voice's.
        face_dropout: Likewise for the face's.
    """

    def __init__(
        self,
        shape: JudgeShape,
        words_dropout: tuple[float, float] = (0.0, 0.0),
        voice_dropout: tuple[float, float] = (0.0, 0.0),
        face_dropout: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        super().__init__()
        words_dim = len(shape.layers) * shape.parts * shape.width
        self.words = Members(words_dim, shape.words_hidden, shape.members, shape.classes, words_dropout)
        self.voice = VoiceReader(shape.voice_hidden, shape.members, shape.classes, voice_dropout)
        self.weigh = Weigh(shape.classes)
        self.pseudo = PseudoTokens(shape.width, shape.pseudo, voice_dropout[0]) if shape.pseudo else None
        self.face: FaceReader | None = None
        if shape.face_hidden is not None:
            with torch.random.fork_rng(devices=[]):  # with or without it, the same seed gives the same others
                self.face = FaceReader(shape.face_hidden, shape.members, shape.classes, face_dropout)

    def forward(self, evidence: Evidence) -> Float[Tensor, "b classes"]:
        """Calibrated log probabilities."""
        words = average(self.words(evidence.words.flatten(1)))
        voice = self.voice(self.voice.centre(evidence.voice, evidence.before, evidence.turns))
        face = self.face(evidence.face) if self.face else torch.zeros_like(words)
        witnesses = Witnesses(words, evidence.has_words, voice, evidence.has_voice, face, evidence.has_face)
        fused: Tensor = self.weigh(witnesses)
        return fused


@dataclass(frozen=True, slots=True)
class Witnesses:
    """What the readers say of a batch of turns, and which of them were there; log probabilities, any where not."""

    words: Float[Tensor, "b classes"]
    has_words: Bool[Tensor, " b"]
    voice: Float[Tensor, "b classes"]
    has_voice: Bool[Tensor, " b"]
    face: Float[Tensor, "b classes"]
    has_face: Bool[Tensor, " b"]


class Weigh(nn.Module):
    """Adds up what the readers say, each times its weight; learned once the readers are.

    ``weights`` has a row for each combination of witnesses (1 for words, 2 for voice, 4 for face, added up) and a
    column for each witness. Words may be misheard, or meant otherwise than they read: with the probability whose log
    odds are ``misread`` they say nothing, and what stands for absent words, the prior, stays.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(8, 3))
        self.no_words = nn.Parameter(torch.zeros(classes))
        self.misread = nn.Parameter(torch.tensor(-2.0))
        self.voice = Belief(classes)
        self.face = Belief(classes)

    def forward(self, witnesses: Witnesses) -> Float[Tensor, "b classes"]:
        """Log probabilities of the turns."""
        there = torch.stack([witnesses.has_words, witnesses.has_voice, witnesses.has_face], dim=1)
        weights = self.weights[(there * torch.tensor([1, 2, 4])).sum(1)] * there
        words, voice, face = weights[:, :, None].unbind(1)
        read, prior = (witnesses.words * words).log_softmax(-1), self.no_words.log_softmax(-1)
        doubted = torch.logaddexp(read + logsigmoid(-self.misread), prior + logsigmoid(self.misread))
        said = torch.where(witnesses.has_words[:, None], doubted, prior)
        heard, seen = self.voice(witnesses.voice) * voice, self.face(witnesses.face) * face
        fused: Tensor = (said + heard + seen).log_softmax(-1)
        return fused


class Belief(nn.Module):
    """How far a voice or a face may be believed: people often sound and look neutral, whatever they say.

    With probability ``1 - a`` it shows the emotion ``c``, else one drawn from ``b``, whatever ``c`` is. What the reader
    saw, ``p``, is then evidence of ``(1 - a) p_c + a sum_k b_k p_k`` for ``c``: where it saw what is shown anyway, that
    says little, and however sure it was, what the words say can still win. ``p`` is sharpened first, since its reader
    was fitted with smoothed labels.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.ones(()))
        self.a = nn.Parameter(torch.zeros(()))  # as log odds
        self.b = nn.Parameter(torch.zeros(classes))  # as log shares

    def forward(self, said: Float[Tensor, "b classes"]) -> Float[Tensor, "b classes"]:
        """Log evidence, from the reader's log probabilities."""
        seen = (said * self.sharpness).log_softmax(-1)
        anyway = (seen + self.b.log_softmax(-1)).logsumexp(-1, keepdim=True)
        evidence: Tensor = torch.logaddexp(seen + logsigmoid(-self.a), anyway + logsigmoid(self.a))
        return evidence
