"""The default adapter's trained head: what words, voice and face suggest, each classified by itself, then fused.

Letters: ``b`` turns, ``read`` layers, ``d`` the LLM's width, ``summary`` width of a voice's vector, ``face`` width of a
face's, ``classes``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from adapters.llm.lora import Lora, LoraShape
from adapters.readout.ensemble import Ensemble, mean_log_probs
from adapters.readout.face import FaceClassifier
from adapters.readout.fusion import LateFusion, ModalityScores
from adapters.readout.pseudo import PseudoShape, PseudoTokens
from adapters.readout.voice import VoiceClassifier


@dataclass(frozen=True, slots=True)
class HeadShape:
    """Sizes of the adapter; stored in checkpoints.

    Attributes:
        layers: Layers of the LLM that are read.
        width: The LLM's width.
        classes: How many.
        members: Networks of each ensemble: of words, of faces and of each view of a voice.
        words_hidden: Hidden width of the words' networks.
        voice_hidden: Hidden width of the voice's networks, or None where voices are not read.
        pseudo: Pseudo tokens behind the turn, or None where the LLM reads the dialogue only.
        face_hidden: Hidden width of the face's networks, or None where faces are not read.
        lora: Low-rank adapters inside the LLM, or None where it is read as it is.
    """

    layers: tuple[int, ...]
    width: int
    classes: int
    members: int = 5
    words_hidden: int = 128
    voice_hidden: int | None = 48
    pseudo: PseudoShape | None = None
    face_hidden: int | None = None
    lora: LoraShape | None = None

    @property
    def parts(self) -> int:
        """States of each layer: mean and last of the words, and the answer to pseudo tokens if any."""
        return 2 if self.pseudo is None else 3


@dataclass(frozen=True, slots=True)
class HeadInput:
    """A batch of turns; rows of an absent modality hold anything finite.

    Attributes:
        words: States of each turn in each layer that is read (see `HeadShape.parts`).
        has_words: Which turns have words.
        voice: Summary of each turn's voice.
        before: Sum of the summaries of the speaker's earlier turns.
        turns: How many those are.
        has_voice: Which turns have a voice; none of them where voices are not read.
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


class EmotionHead(nn.Module):
    """Classifies words, voice and face, and fuses them.

    Args:
        shape: Its sizes.
        words_dropout: On the inputs and hidden layers of the words' networks.
        voice_dropout: Likewise for the voice's.
        face_dropout: Likewise for the face's.
    """

    def __init__(
        self,
        shape: HeadShape,
        words_dropout: tuple[float, float] = (0.0, 0.0),
        voice_dropout: tuple[float, float] = (0.0, 0.0),
        face_dropout: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        super().__init__()
        words_dim = len(shape.layers) * shape.parts * shape.width
        self.words = Ensemble(words_dim, shape.words_hidden, shape.members, shape.classes, words_dropout)
        self.voice: VoiceClassifier | None = None
        if shape.voice_hidden is not None:
            self.voice = VoiceClassifier(shape.voice_hidden, shape.members, shape.classes, voice_dropout)
        self.fusion = LateFusion(shape.classes)
        self.pseudo = PseudoTokens(shape.width, shape.pseudo, shape.classes) if shape.pseudo else None
        self.face: FaceClassifier | None = None
        if shape.face_hidden is not None:
            with torch.random.fork_rng(devices=[]):  # the others get the same start with or without it
                self.face = FaceClassifier(shape.face_hidden, shape.members, shape.classes, face_dropout)
        with torch.random.fork_rng(devices=[]):
            self.lora = Lora(shape.lora) if shape.lora else None

    def forward(self, batch: HeadInput) -> Float[Tensor, "b classes"]:
        """Calibrated log probabilities."""
        words = mean_log_probs(self.words(batch.words.flatten(1)))
        nothing = torch.zeros_like(words)
        voice = self.voice(self.voice.normalise(batch.voice, batch.before, batch.turns)) if self.voice else nothing
        face = self.face(batch.face) if self.face else nothing
        scores = ModalityScores(words, batch.has_words, voice, batch.has_voice, face, batch.has_face)
        fused: Tensor = self.fusion(scores)
        return fused
