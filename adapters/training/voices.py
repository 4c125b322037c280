"""Fitting the voice classifier so that it serves a speaker's first turn as well as the hundredth.

Live, a speaker's voice is first normalised by the mean voice, then more and more by the speaker's own mean. Training
has every clip at several such moments, with other clips of its speaker drawn as the turns before.

Letters: ``b`` rows, ``summary`` width of a voice's vector, ``classes``.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from adapters.contract import MELD_LABELS
from adapters.readout.ensemble import Ensemble
from adapters.readout.voice import VoiceClassifier
from adapters.training.feature_cache import VoiceRows
from adapters.training.fit import fit_ensemble
from adapters.training.recipe import FitSpec

TURNS_BEFORE = (0, 4, 1000)  # of the speaker; 1000 stands for all that there are


def balanced_weights(rows: VoiceRows) -> Float[Tensor, " b"]:
    """Weights under which every class of every corpus counts the same."""
    weights = torch.zeros(len(rows.labels))
    for corpus in sorted(set(rows.corpora.tolist())):
        for label in range(len(MELD_LABELS)):
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


def fit_voice(classifier: VoiceClassifier, rows: VoiceRows, spec: FitSpec, seed: int) -> None:
    """Fit all views.

    Args:
        classifier: A fresh one; the mean voice is measured here.
        rows: The clips to fit to.
        spec: How to fit.
        seed: Of the draws.
    """
    classifier.mean_voice.copy_(mean_voice(rows))
    inputs = torch.cat([normalised(classifier, rows, turns, seed + step) for step, turns in enumerate(TURNS_BEFORE)])
    labels, weights = rows.labels.repeat(len(TURNS_BEFORE)), balanced_weights(rows).repeat(len(TURNS_BEFORE))
    for view, ensemble in enumerate(classifier.views):
        assert isinstance(ensemble, Ensemble)
        fit_ensemble(ensemble, classifier.columns(inputs, view), labels, weights, spec)
