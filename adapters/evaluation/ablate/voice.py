"""What each part of the voice classifier adds, on held-out speakers of RAVDESS and EMO-DB.

Pooling over time is among the parts, so that the frames themselves are kept, in float16; only these two corpora, of
which that takes 0.3 GB. The summaries are made from them. Metrics are unweighted average recall, 7 classes, of
speakers who were not trained on: at their first turn, and after all their other turns.

Letters: ``clips``, ``frames`` of all clips one behind the other, ``dim`` of a frame, ``time`` of the longest clip of a
batch, ``states`` of the speech encoder, ``summary`` width of a voice's vector, ``b`` rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float16, Int
from sklearn.metrics import recall_score
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from adapters.contract import LabelSet
from adapters.datasets import emodb, ravdess
from adapters.datasets.sound import read_clip
from adapters.features.acoustic import SPEC, STATES
from adapters.readout.ensemble import Ensemble, Standardiser, mean_log_probs
from adapters.readout.voice import VIEWS, View, VoiceClassifier
from adapters.readout.voice_summary import PROSODY, summarise
from adapters.training.feature_cache import Encoder, VoiceRows, cached_tensors, contents, voice_clips
from adapters.training.fit import fit_ensemble
from adapters.training.progress import progress
from adapters.training.recipe import Recipe
from adapters.training.voices import TURNS_BEFORE, balanced_weights, fit_voice, mean_voice, normalised

COLUMNS = ("UAR, first turn", "UAR, speaker known")

_POOLED = 2 * STATES  # mean and spread of each state, as they stand at the beginning of a summary
_STATES_ALONE: tuple[View, ...] = (View(tuple(range(_POOLED)), 1.0, without_speakers=False),)
_PROSODY_ALONE: tuple[View, ...] = (View(PROSODY, 1.0, without_speakers=False),)
_WITH_SPEAKERS = tuple(view._replace(without_speakers=False) for view in VIEWS)
_ATTENTION = 64  # width of the attention's hidden layer
_LEAST_VARIANCE = 1e-8  # below it the square root's slope is no number to learn by


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Frames of many clips, one clip behind the other."""

    values: Float16[Tensor, "frames dim"]
    lengths: Int[Tensor, " clips"]

    def clips(self) -> tuple[Float16[Tensor, "time dim"], ...]:
        """Each clip's own; nothing is copied."""
        own: tuple[Tensor, ...] = self.values.split(self.lengths.tolist())
        return own


def load(data: Path, label_set: LabelSet, encoder: Callable[[], Encoder]) -> tuple[VoiceRows, Frames]:
    """Encode RAVDESS and EMO-DB, or take the frames from the cache.

    Args:
        data: Folder with one folder per corpus.
        label_set: The labels that are learned.
        encoder: Loads the speech encoder, if there is something to hear.
    """
    chosen = voice_clips((emodb.CORPUS, ravdess.CORPUS), label_set, data)

    def make() -> dict[str, Tensor]:
        loaded = encoder()
        encoded = [loaded.encode(read_clip(clip)).features.values for clip in progress(chosen.clips, "encoding voices")]
        lengths = torch.tensor([len(values) for values in encoded])
        return {"frames": torch.from_numpy(np.concatenate(encoded)).half(), "lengths": lengths}

    found = cached_tensors("frames", (SPEC, contents(chosen.clips)), make)
    frames = Frames(found["frames"], found["lengths"])
    summaries = np.stack([summarise(clip.float().numpy()) for clip in frames.clips()])
    return chosen.rows(torch.from_numpy(summaries)), frames


class AttentivePool(Standardiser):
    """Mean and spread of a clip's states, each frame weighted by a learned attention within the clip's own length.

    Okabe et al. 2018, "Attentive Statistics Pooling for Deep Speaker Embedding", equations 1 to 5. It begins with equal
    weights, which give plain mean and spread. A row holds the clip's index and the speaker's mean, which is
    subtracted from what was pooled, as the recipe does it.

    Args:
        frames: Of all clips.
    """

    def __init__(self, frames: Frames) -> None:
        super().__init__(_POOLED)
        self._clips = [clip[:, :STATES] for clip in frames.clips()]
        self.hidden = nn.Linear(STATES, _ATTENTION)
        self.score = nn.Linear(_ATTENTION, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    @torch.no_grad()
    def measure(self, x: Float[Tensor, "b row"]) -> None:
        """Take mean and spread from training data, pooled as it is at the beginning."""
        super().measure(torch.cat([self._normalised(rows) for rows in x.split(256)]))

    def forward(self, x: Float[Tensor, "b row"]) -> Float[Tensor, "b pooled"]:
        """Pool, normalise by speaker, standardise."""
        return super().forward(self._normalised(x))

    def _normalised(self, x: Float[Tensor, "b row"]) -> Float[Tensor, "b pooled"]:
        chosen = [self._clips[index] for index in x[:, 0].long().tolist()]
        lengths = torch.tensor([len(clip) for clip in chosen])
        padded = pad_sequence(chosen, batch_first=True).float()
        return self.pool(padded, torch.arange(padded.shape[1]) < lengths[:, None]) - x[:, 1:]

    def pool(self, frames: Float[Tensor, "b time states"], own: Bool[Tensor, "b time"]) -> Float[Tensor, "b pooled"]:
        """Weighted mean and standard deviation.

        Args:
            frames: Padded with anything finite.
            own: Which frames are the clip's.
        """
        scores = self.score(torch.tanh(self.hidden(frames)))[..., 0].masked_fill(~own, -torch.inf)
        weights = scores.softmax(-1)[..., None]
        mean = (weights * frames).sum(1)
        variance = (weights * (frames - mean[:, None]).square()).sum(1)
        return torch.cat([mean, variance.clamp(min=_LEAST_VARIANCE).sqrt()], dim=1)


class MeanVoiceOnly(VoiceClassifier):
    """Normalises by the mean voice, not by the speaker's own."""

    def normalise(
        self,
        summary: Float[Tensor, "b summary"],
        before: Float[Tensor, "b summary"],  # noqa: ARG002
        turns: Float[Tensor, " b"],  # noqa: ARG002
    ) -> Float[Tensor, "b summary"]:
        """Subtract the mean voice, whoever speaks."""
        return summary - self.mean_voice


@dataclass(frozen=True, slots=True)
class Variant:
    """One row of the table; ``views`` None is the recipe's own."""

    name: str
    views: tuple[View, ...] | None = None
    by_speaker: bool = True
    pooling: Literal["mean and spread", "attentive"] = "mean and spread"


VARIANTS = (
    Variant("the recipe"),
    Variant("without speaker normalisation", by_speaker=False),
    Variant("with the directions of speakers", _WITH_SPEAKERS),
    Variant("without speech states (prosody alone)", _PROSODY_ALONE),
    Variant("without prosody (speech states alone, mean and spread)", _STATES_ALONE),
    Variant("speech states alone, attentive mean and spread", _STATES_ALONE, pooling="attentive"),
)

ScoreClips = Callable[[int], Float[Tensor, "clips classes"]]
"""Scores of all clips after so many turns of their speaker."""


def fit(variant: Variant, recipe: Recipe, rows: VoiceRows, frames: Frames, seed: int) -> ScoreClips:
    """Fit a variant to the clips that are not held out."""
    torch.manual_seed(seed)
    kind = VoiceClassifier if variant.by_speaker else MeanVoiceOnly
    sizes = recipe.voice_hidden, recipe.members, len(rows.label_set), recipe.voice_spec.dropout
    classifier = kind(*sizes, *([variant.views] if variant.views else []))
    if variant.pooling == "attentive":
        return _fit_attentive(classifier, recipe, rows, frames, seed)
    fit_voice(classifier, rows.where(~rows.held_out.numpy()), recipe.voice_spec, seed)
    return lambda turns: classifier(normalised(classifier, rows, turns, seed))


def _fit_attentive(
    classifier: VoiceClassifier, recipe: Recipe, rows: VoiceRows, frames: Frames, seed: int
) -> ScoreClips:
    """Only the mean voice and one ensemble of the classifier are used; directions of speakers stay in."""
    trained = torch.nonzero(~rows.held_out)[:, 0]
    fitting = rows.where(~rows.held_out.numpy())
    classifier.mean_voice.copy_(mean_voice(fitting))
    ensemble = classifier.views[0]
    assert isinstance(ensemble, Ensemble)
    ensemble.standardise = AttentivePool(frames)

    def inputs(some: VoiceRows, index: Int[Tensor, " b"], turns: int, seed: int) -> Float[Tensor, "b row"]:
        speaker_means = some.summaries - normalised(classifier, some, turns, seed)
        return torch.cat([index[:, None].float(), speaker_means[:, :_POOLED]], dim=1)

    rows_in = torch.cat([inputs(fitting, trained, turns, seed + step) for step, turns in enumerate(TURNS_BEFORE)])
    times = len(TURNS_BEFORE)
    labels, weights = fitting.labels.repeat(times), balanced_weights(fitting).repeat(times)
    fit_ensemble(ensemble, rows_in, labels, weights, recipe.voice_spec)
    every = torch.arange(len(rows.labels))

    def score(turns: int) -> Float[Tensor, "clips classes"]:
        row_batches = inputs(rows, every, turns, seed).split(256)
        return torch.cat([mean_log_probs(ensemble(some)) for some in row_batches])

    return score


def evaluate(variant: Variant, recipe: Recipe, rows: VoiceRows, frames: Frames, seed: int) -> tuple[float, float]:
    """Unweighted average recall of held-out speakers, after none and after all of their other turns."""
    score, held = fit(variant, recipe, rows, frames, seed), rows.held_out
    recalls = []
    for turns in (TURNS_BEFORE[0], TURNS_BEFORE[-1]):
        with torch.no_grad():
            guesses = score(turns)[held].argmax(1).numpy()
        recalls.append(float(recall_score(rows.labels[held].numpy(), guesses, average="macro")))
    return recalls[0], recalls[1]
