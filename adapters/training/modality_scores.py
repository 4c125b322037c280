"""The modalities' scores of dialogues with voices and faces, most of them simulated.

Letters: ``turns`` of the dialogues, ``pool`` voices or faces that may be drawn, ``moments``: after how many turns of
its speaker a voice is classified (see `adapters.training.voices`), ``read`` layers, ``d`` the LLM's width, ``summary``
width of a voice's vector, ``classes``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from adapters.llm.backbone import Backbone
from adapters.readout.ensemble import mean_log_probs
from adapters.readout.face import FaceClassifier
from adapters.readout.fusion import ModalityScores
from adapters.readout.head import EmotionHead
from adapters.readout.pseudo import Nonverbal
from adapters.readout.voice import VoiceClassifier
from adapters.training.faces import FaceTurns
from adapters.training.feature_cache import VoiceRows, WordRows
from adapters.training.fit_pseudo import CachedChunk, query_corpus
from adapters.training.recipe import FitSpec
from adapters.training.simulate import SHARES, draw
from adapters.training.voices import TURNS_BEFORE, fit_voice, normalised

_FOLDS = 3  # of speakers, for scores of voices that a classifier does not know


@dataclass(frozen=True, slots=True)
class Split:
    """A text corpus as the LLM has read it; ``chunks`` only where there are pseudo tokens."""

    rows: WordRows
    chunks: Sequence[CachedChunk] = ()


@dataclass(frozen=True, slots=True, eq=False)
class VoicePool:
    """The classifier's scores of voices, normalised by few or many turns of their speakers."""

    scores: Float[Tensor, "moments pool classes"]
    labels: Int[Tensor, " pool"]


@dataclass(frozen=True, slots=True, eq=False)
class FacePool:
    """The classifier's scores of faces."""

    scores: Float[Tensor, "pool classes"]
    labels: Int[Tensor, " pool"]


@dataclass(frozen=True, slots=True, eq=False)
class TurnScores:
    """Log probabilities of every turn, by modality, in one draw of voices and faces, or with those that it had.

    Attributes:
        words: From the words without voice and face, and with the pseudo tokens of either or both behind them: the
            first axis is 1 with the voice, the second 1 with the face.
        voice: From the voice, or None where the adapter reads no voices.
        face: From the face, or None where the adapter reads no faces.
        has_voice: Which turns have a voice; None where all have.
        has_face: Likewise.
    """

    words: Float[Tensor, "2 2 turns classes"]
    voice: Float[Tensor, "turns classes"] | None
    face: Float[Tensor, "turns classes"] | None
    has_voice: Bool[Tensor, " turns"] | None = None
    has_face: Bool[Tensor, " turns"] | None = None

    def where(self, rows: slice) -> TurnScores:
        """Some of the turns."""
        parts = (self.voice, self.face, self.has_voice, self.has_face)
        return TurnScores(self.words[:, :, rows], *(None if part is None else part[rows] for part in parts))

    def masked(
        self, words: Bool[Tensor, " turns"], voice: Bool[Tensor, " turns"], face: Bool[Tensor, " turns"]
    ) -> ModalityScores:
        """The scores where some modalities are absent from some turns."""
        nothing = torch.zeros_like(self.words[0, 0])
        voice = voice if self.has_voice is None else voice & self.has_voice
        face = face if self.has_face is None else face & self.has_face
        heard, has_voice = (nothing, voice & False) if self.voice is None else (self.voice, voice)
        shown, has_face = (nothing, face & False) if self.face is None else (self.face, face)
        text = self.words[has_voice.long(), has_face.long(), torch.arange(len(nothing))]
        return ModalityScores(text, words, heard, has_voice, shown, has_face)


@torch.no_grad()
def word_states(
    head: EmotionHead, backbone: Backbone, split: Split, nonverbal: Nonverbal
) -> Float[Tensor, "turns read parts d"]:
    """The states of each turn: its pooled words, and the LLM's answer where there are pseudo tokens."""
    if head.pseudo is None:
        return split.rows.states
    answers = query_corpus(head.pseudo, backbone, split.chunks, nonverbal)
    return torch.cat([split.rows.states, answers[:, :, None]], dim=2)


@torch.no_grad()
def voice_pool(classifier: VoiceClassifier, rows: VoiceRows, seed: int) -> VoicePool:
    """Voices with the scores of a fitted classifier."""
    return VoicePool(
        torch.stack([classifier(normalised(classifier, rows, turns, seed)) for turns in TURNS_BEFORE]), rows.labels
    )


def cross_fitted(classifier: VoiceClassifier, rows: VoiceRows, spec: FitSpec, seed: int) -> VoicePool:
    """Voices with the scores of classifiers that were fitted to other speakers only.

    Args:
        classifier: Of the same sizes; left as it is.
        rows: Of several speakers.
        spec: How it was fitted.
        seed: Of the folds and draws.
    """
    speakers = np.unique(rows.speakers)
    fold_of = dict(zip(speakers, np.random.default_rng(seed).permutation(len(speakers)) % _FOLDS, strict=True))
    folds = np.array([fold_of[speaker] for speaker in rows.speakers])
    scores = torch.zeros(len(TURNS_BEFORE), len(rows.labels), len(rows.label_set))
    for fold in range(_FOLDS):
        fitted = classifier.fresh()
        fit_voice(fitted, rows.where(folds != fold), spec, seed)
        own = torch.from_numpy(folds == fold)
        scores[:, own] = voice_pool(fitted, rows.where(folds == fold), seed).scores
    return VoicePool(scores, rows.labels)


@torch.no_grad()
def face_pool(classifier: FaceClassifier, turns: FaceTurns) -> FacePool:
    """Faces with the scores of a fitted classifier."""
    return FacePool(classifier(turns.summaries), turns.labels)


@torch.no_grad()
def simulate_scores(
    head: EmotionHead,
    backbone: Backbone,
    split: Split,
    voices: VoicePool | None,
    faces: FacePool | None,
    seed: int,
    shares: Mapping[str, float] = SHARES,
    face_shares: Mapping[str, float] | None = None,
) -> TurnScores:
    """Draw a voice, at any moment, and a face for each turn, and compute the scores of all modalities.

    Args:
        head: Its classifiers are fitted.
        backbone: The LLM.
        split: The dialogues.
        voices: Drawn from; None where the adapter reads no voices.
        faces: Likewise.
        seed: Of the draws.
        shares: How many match, are neutral, and contradict.
        face_shares: Likewise of faces, where it is another share.
    """
    labels, known = split.rows.labels, split.rows.label_set
    nonverbal = Nonverbal.none(len(labels), len(known))
    every, voice, face = ~nonverbal.has_voice, None, None
    if voices is not None:
        moments = torch.from_numpy(np.random.default_rng([seed, 1]).integers(len(TURNS_BEFORE), size=len(labels)))
        drawn = moments, draw(labels, voices.labels, known, seed, shares)
        voice = voices.scores[drawn]
        nonverbal = replace(nonverbal, voice=voice, has_voice=every)
    if faces is not None:
        face = faces.scores[draw(labels, faces.labels, known, seed + 10_000, face_shares or shares)]
        nonverbal = replace(nonverbal, face=face, has_face=every)

    @cache
    def words(has_voice: bool, has_face: bool) -> Float[Tensor, "turns classes"]:
        shown = replace(nonverbal, has_voice=every & has_voice, has_face=every & has_face)
        return mean_log_probs(head.words(word_states(head, backbone, split, shown).flatten(1)))

    # The words hear and see through pseudo tokens only, and these what there is.
    hears, sees = (head.pseudo is not None and part is not None for part in (voice, face))
    rows = [
        torch.stack([words(hears and with_voice, sees and with_face) for with_face in (False, True)])
        for with_voice in (False, True)
    ]
    return TurnScores(torch.stack(rows), voice, face)
