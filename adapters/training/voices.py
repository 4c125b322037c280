"""Fitting the voice classifier so that it serves a speaker's first turn as well as the hundredth.

Live, a speaker's voice is first normalised by the mean voice, then more and more by the speaker's own mean. Training
has every clip at several such moments, with other clips of its speaker drawn as the turns before.

Letters: ``b`` rows, ``summary`` width of a voice's vector, ``speakers`` directions, ``classes``.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from adapters.readout.ensemble import Ensemble
from adapters.readout.voice import SPEAKERS, VoiceClassifier
from adapters.training.feature_cache import VoiceRows
from adapters.training.fit import fit_ensemble
from adapters.training.recipe import FitSpec

TURNS_BEFORE = (0, 4, 1000)  # of the speaker; 1000 stands for all that there are

_LEAST_SPREAD = 1e-4


def balanced_weights(rows: VoiceRows) -> Float[Tensor, " b"]:
    """Weights under which every class of every corpus counts the same."""
    weights = torch.zeros(len(rows.labels))
    for corpus in sorted(set(rows.corpora.tolist())):
        for label in rows.labels.unique():
            cell = torch.from_numpy(rows.corpora == corpus) & (rows.labels == label)
            weights[cell] = 1.0 / max(1, int(cell.sum()))
    return weights / weights.mean()


def normalised(classifier: VoiceClassifier, rows: VoiceRows, turns: int, seed: int) -> Float[Tensor, "b summary"]:
    """Every clip, normalised after some turns of its speaker.

    Args:
        classifier: Holds the mean voice.
        rows: The clips.
        turns: How many others of the same speaker come before, as far as there are so many.
        seed: Of the draw.
    """
    random = np.random.default_rng(seed)
    before = torch.zeros_like(rows.summaries)
    counts = torch.zeros(len(rows.labels))
    for speaker in sorted(set(rows.speakers.tolist())):
        own = np.flatnonzero(rows.speakers == speaker)
        for row in own:
            others = own[own != row]
            chosen = random.choice(others, min(turns, len(others)), replace=False) if len(others) else others
            before[row] = rows.summaries[chosen].sum(0)
            counts[row] = len(chosen)
    return classifier.normalise(rows.summaries, before, counts)


def mean_voice(rows: VoiceRows) -> Float[Tensor, " summary"]:
    """The mean summary, each corpus counting the same."""
    means = [rows.summaries[torch.from_numpy(rows.corpora == corpus)].mean(0) for corpus in np.unique(rows.corpora)]
    return torch.stack(means).mean(0)


def speaker_directions(rows: VoiceRows, spread: Float[Tensor, " summary"]) -> Float[Tensor, "speakers summary"]:
    """The directions in which the means of calm voices differ most from speaker to speaker.

    Args:
        rows: Clips; those that are neutral are taken, or all where no label is.
        spread: Of each column.

    Returns:
        As many as `SPEAKERS`, at right angles to each other; zeros where there are fewer speakers.
    """
    names = rows.label_set.labels
    calm = rows.labels.numpy() == names.index("neutral") if "neutral" in names else np.ones(len(rows.labels), bool)
    means = [rows.summaries[torch.from_numpy(calm & (rows.speakers == one))] for one in np.unique(rows.speakers[calm])]
    directions = torch.zeros(SPEAKERS, len(spread))
    if len(means) > 1:
        each = torch.stack([some.mean(0) for some in means]) / spread
        found = torch.linalg.svd(each - each.mean(0), full_matrices=False).Vh[: min(SPEAKERS, len(means) - 1)]
        directions[: len(found)] = found
    return directions


def fit_voice(classifier: VoiceClassifier, rows: VoiceRows, spec: FitSpec, seed: int) -> None:
    """Fit all views.

    Args:
        classifier: A fresh one; the mean voice and how speakers differ are measured here.
        rows: The clips to fit to.
        spec: How to fit.
        seed: Of the draws.
    """
    classifier.mean_voice.copy_(mean_voice(rows))
    classifier.spread.copy_(rows.summaries.std(0) + _LEAST_SPREAD)
    classifier.speakers.copy_(speaker_directions(rows, classifier.spread))
    inputs = torch.cat([normalised(classifier, rows, turns, seed + step) for step, turns in enumerate(TURNS_BEFORE)])
    labels, weights = rows.labels.repeat(len(TURNS_BEFORE)), balanced_weights(rows).repeat(len(TURNS_BEFORE))
    for view, ensemble in enumerate(classifier.views):
        assert isinstance(ensemble, Ensemble)
        fit_ensemble(ensemble, classifier.columns(inputs, view), labels, weights, spec)
