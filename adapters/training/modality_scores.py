"""What the readers say of dialogues with simulated voices and faces.

Letters: ``turns`` of the dialogues, ``pool`` voices or faces that may be drawn, ``moments`` at which a voice is heard
(see `adapters.training.voices`), ``read`` layers, ``d`` the LLM's width, ``summary`` width of a voice's vector,
``classes``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from adapters.llm.backbone import Backbone
from adapters.readout.judge import Judge, Witnesses
from adapters.readout.members import average
from adapters.readout.voice_summary import SUMMARY_DIM
from adapters.training.faces import FaceTurns
from adapters.training.feature_cache import VoiceRows, WordRows
from adapters.training.fit_pseudo import ReadPart, Voices, ask
from adapters.training.simulate import SHARES, draw
from adapters.training.voices import MOMENTS, centred


@dataclass(frozen=True, slots=True)
class Split:
    """A text corpus as the LLM has read it; ``parts`` only where pseudo tokens ask it more."""

    rows: WordRows
    parts: Sequence[ReadPart] = ()


@dataclass(frozen=True, slots=True, eq=False)
class VoicePool:
    """Voices, their speakers' habits taken off after few or many turns, and what the reader makes of each."""

    heard: Float[Tensor, "moments pool summary"]
    said: Float[Tensor, "moments pool classes"]
    labels: Int[Tensor, " pool"]


@dataclass(frozen=True, slots=True, eq=False)
class FacePool:
    """What the reader makes of faces."""

    said: Float[Tensor, "pool classes"]
    labels: Int[Tensor, " pool"]


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What every reader says of every turn in one draw of voices and faces; log probabilities.

    Attributes:
        words: Without the voice.
        words_beside: Where the LLM was told of the voice, too.
        voice: Of the voice.
        face: Of the face, or None where faces are not read.
    """

    words: Float[Tensor, "turns classes"]
    words_beside: Float[Tensor, "turns classes"]
    voice: Float[Tensor, "turns classes"]
    face: Float[Tensor, "turns classes"] | None

    def given(
        self, words: Bool[Tensor, " turns"], voice: Bool[Tensor, " turns"], face: Bool[Tensor, " turns"]
    ) -> Witnesses:
        """What is left of it where some modalities are absent from some turns."""
        said = torch.where(voice[:, None], self.words_beside, self.words)
        seen, has_face = (torch.zeros_like(said), face & False) if self.face is None else (self.face, face)
        return Witnesses(said, words, self.voice, voice, seen, has_face)


def no_voices(labels: Int[Tensor, " turns"]) -> Voices:
    """Turns without a voice."""
    return torch.zeros(len(labels), SUMMARY_DIM), torch.zeros(len(labels), dtype=torch.bool)


@torch.no_grad()
def states(judge: Judge, backbone: Backbone, split: Split, voices: Voices) -> Float[Tensor, "turns read parts d"]:
    """All that is read of each turn: pooled words, and the LLM's answer where pseudo tokens ask."""
    if judge.pseudo is None:
        return split.rows.states
    return torch.cat([split.rows.states, ask(judge.pseudo, backbone, split.parts, voices)[:, :, None]], dim=2)


@torch.no_grad()
def voice_pool(judge: Judge, rows: VoiceRows, seed: int) -> VoicePool:
    """Voices as a fitted reader hears them."""
    heard = torch.stack([centred(judge.voice, rows, turns, seed) for turns in MOMENTS])
    return VoicePool(heard, torch.stack([judge.voice(moment) for moment in heard]), rows.labels)


@torch.no_grad()
def face_pool(judge: Judge, turns: FaceTurns) -> FacePool | None:
    """Faces as a fitted reader sees them, or None where faces are not read."""
    return None if judge.face is None else FacePool(judge.face(turns.summaries), turns.labels)


@torch.no_grad()
def say(
    judge: Judge,
    backbone: Backbone,
    split: Split,
    voices: VoicePool,
    faces: FacePool | None,
    seed: int,
    shares: Mapping[str, float] = SHARES,
) -> Said:
    """Draw a voice, at any moment, and a face for each turn, and let the readers speak.

    Args:
        judge: Its readers are fitted.
        backbone: The LLM.
        split: The dialogues.
        voices: Drawn from.
        faces: Likewise.
        seed: Of the draws.
        shares: How many match, are neutral, and contradict.
    """
    labels = split.rows.labels
    moments = torch.from_numpy(np.random.default_rng([seed, 1]).integers(len(MOMENTS), size=len(labels)))
    voice = moments, draw(labels, voices.labels, seed, shares)
    heard = voices.heard[voice], torch.ones(len(labels), dtype=torch.bool)
    words = average(judge.words(states(judge, backbone, split, no_voices(labels)).flatten(1)))
    return Said(
        words=words,
        words_beside=words
        if judge.pseudo is None
        else average(judge.words(states(judge, backbone, split, heard).flatten(1))),
        voice=voices.said[voice],
        face=None if faces is None else faces.said[draw(labels, faces.labels, seed + 10_000, shares)],
    )
