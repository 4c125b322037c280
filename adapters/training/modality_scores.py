"""The modalities' scores of dialogues with simulated voices and faces.

Letters: ``turns`` of the dialogues, ``pool`` voices or faces that may be drawn, ``moments``: after how many turns of
its speaker a voice is classified (see `adapters.training.voices`), ``read`` layers, ``d`` the LLM's width, ``summary``
width of a voice's vector, ``classes``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from adapters.llm.backbone import Backbone
from adapters.readout.ensemble import mean_log_probs
from adapters.readout.fusion import ModalityScores
from adapters.readout.head import EmotionHead
from adapters.readout.voice_summary import SUMMARY_DIM
from adapters.training.faces import FaceTurns
from adapters.training.feature_cache import VoiceRows, WordRows
from adapters.training.fit_pseudo import CachedChunk, TurnVoices, query_corpus
from adapters.training.simulate import SHARES, draw
from adapters.training.voices import TURNS_BEFORE, normalised


@dataclass(frozen=True, slots=True)
class Split:
    """A text corpus as the LLM has read it; ``chunks`` only where there are pseudo tokens."""

    rows: WordRows
    chunks: Sequence[CachedChunk] = ()


@dataclass(frozen=True, slots=True, eq=False)
class VoicePool:
    """Voices, normalised by few or many turns of their speakers, and the classifier's scores of each."""

    summaries: Float[Tensor, "moments pool summary"]
    scores: Float[Tensor, "moments pool classes"]
    labels: Int[Tensor, " pool"]


@dataclass(frozen=True, slots=True, eq=False)
class FacePool:
    """The classifier's scores of faces."""

    scores: Float[Tensor, "pool classes"]
    labels: Int[Tensor, " pool"]


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedScores:
    """Log probabilities of every turn, by modality, in one draw of voices and faces.

    Attributes:
        words: From the words without the voice.
        words_with_voice: From the words with the voice's pseudo tokens behind them.
        voice: From the voice.
        face: From the face, or None where the adapter reads no faces.
    """

    words: Float[Tensor, "turns classes"]
    words_with_voice: Float[Tensor, "turns classes"]
    voice: Float[Tensor, "turns classes"]
    face: Float[Tensor, "turns classes"] | None

    def masked(
        self, words: Bool[Tensor, " turns"], voice: Bool[Tensor, " turns"], face: Bool[Tensor, " turns"]
    ) -> ModalityScores:
        """The scores where some modalities are absent from some turns."""
        text = torch.where(voice[:, None], self.words_with_voice, self.words)
        shown, has_face = (torch.zeros_like(text), face & False) if self.face is None else (self.face, face)
        return ModalityScores(text, words, self.voice, voice, shown, has_face)


def no_voices(labels: Int[Tensor, " turns"]) -> TurnVoices:
    """Turns without a voice."""
    return torch.zeros(len(labels), SUMMARY_DIM), torch.zeros(len(labels), dtype=torch.bool)


@torch.no_grad()
def word_states(
    head: EmotionHead, backbone: Backbone, split: Split, voices: TurnVoices
) -> Float[Tensor, "turns read parts d"]:
    """The states of each turn: its pooled words, and the LLM's answer where there are pseudo tokens."""
    if head.pseudo is None:
        return split.rows.states
    return torch.cat([split.rows.states, query_corpus(head.pseudo, backbone, split.chunks, voices)[:, :, None]], dim=2)


@torch.no_grad()
def voice_pool(head: EmotionHead, rows: VoiceRows, seed: int) -> VoicePool:
    """Voices with the scores of a fitted classifier."""
    summaries = torch.stack([normalised(head.voice, rows, turns, seed) for turns in TURNS_BEFORE])
    return VoicePool(summaries, torch.stack([head.voice(moment) for moment in summaries]), rows.labels)


@torch.no_grad()
def face_pool(head: EmotionHead, turns: FaceTurns) -> FacePool | None:
    """Faces with the scores of a fitted classifier, or None where the adapter reads no faces."""
    return None if head.face is None else FacePool(head.face(turns.summaries), turns.labels)


@torch.no_grad()
def simulate_scores(
    head: EmotionHead,
    backbone: Backbone,
    split: Split,
    voices: VoicePool,
    faces: FacePool | None,
    seed: int,
    shares: Mapping[str, float] = SHARES,
) -> SimulatedScores:
    """Draw a voice, at any moment, and a face for each turn, and compute the scores of all modalities.

    Args:
        head: Its classifiers are fitted.
        backbone: The LLM.
        split: The dialogues.
        voices: Drawn from.
        faces: Likewise.
        seed: Of the draws.
        shares: How many match, are neutral, and contradict.
    """
    labels = split.rows.labels
    moments = torch.from_numpy(np.random.default_rng([seed, 1]).integers(len(TURNS_BEFORE), size=len(labels)))
    voice = moments, draw(labels, voices.labels, seed, shares)
    with_voice = voices.summaries[voice], torch.ones(len(labels), dtype=torch.bool)
    words = mean_log_probs(head.words(word_states(head, backbone, split, no_voices(labels)).flatten(1)))
    return SimulatedScores(
        words=words,
        words_with_voice=words
        if head.pseudo is None
        else mean_log_probs(head.words(word_states(head, backbone, split, with_voice).flatten(1))),
        voice=voices.scores[voice],
        face=None if faces is None else faces.scores[draw(labels, faces.labels, seed + 10_000, shares)],
    )
