"""Fitting the reader of voices so that it serves a speaker's first turn as well as the hundredth.

Live, a speaker is first heard against the average voice, then more and more against an own mean. Training shows every
clip at several such moments, with other clips of its speaker drawn as the turns before.

Letters: ``b`` rows, ``summary`` width of a voice's vector, ``classes``.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from adapters.contract import MELD_LABELS
from adapters.readout.members import Members
from adapters.readout.voice import VoiceReader
from adapters.training.feature_cache import VoiceRows
from adapters.training.fit import fit_members
from adapters.training.recipe import FitSpec

MOMENTS = (0, 4, 1000)  # turns heard before; 1000 stands for all that there are


def balanced(rows: VoiceRows) -> Float[Tensor, " b"]:
    """Weights under which every class of every corpus counts the same."""
    weights = torch.zeros(len(rows.labels))
    for corpus in sorted(set(rows.corpora.tolist())):
        for label in range(len(MELD_LABELS)):
            cell = torch.from_numpy(rows.corpora == corpus) & (rows.labels == label)
            weights[cell] = 1.0 / max(1, int(cell.sum()))
    return weights / weights.mean()


def centred(reader: VoiceReader, rows: VoiceRows, turns: int, seed: int) -> Float[Tensor, "b summary"]:
    """Every clip as it sounds after some turns of its speaker.

    Args:
        reader: Holds the average voice.
        rows: The clips.
        turns: How many others of the same speaker were heard before, as far as there are so many.
        seed: Of the draw.
    """
    random = np.random.default_rng(seed)
    before = torch.zeros_like(rows.summaries)
    counts = torch.zeros(len(rows.labels))
    for speaker in sorted(set(rows.speakers.tolist())):
        own = np.flatnonzero(rows.speakers == speaker)
        for row in own:
            others = own[own != row]
            heard = random.choice(others, min(turns, len(others)), replace=False) if len(others) else others
            before[row] = rows.summaries[heard].sum(0)
            counts[row] = len(heard)
    return reader.centre(rows.summaries, before, counts)


def average_voice(rows: VoiceRows) -> Float[Tensor, " summary"]:
    """The mean summary, each corpus counting the same."""
    means = [rows.summaries[torch.from_numpy(rows.corpora == corpus)].mean(0) for corpus in np.unique(rows.corpora)]
    return torch.stack(means).mean(0)


def fit_voice(reader: VoiceReader, rows: VoiceRows, spec: FitSpec, seed: int) -> None:
    """Fit all views.

    Args:
        reader: A fresh one; the average voice is measured here.
        rows: The clips to fit to.
        spec: How to fit.
        seed: Of the draws.
    """
    reader.usual.copy_(average_voice(rows))
    inputs = torch.cat([centred(reader, rows, turns, seed + step) for step, turns in enumerate(MOMENTS)])
    labels, weights = rows.labels.repeat(len(MOMENTS)), balanced(rows).repeat(len(MOMENTS))
    for view, members in enumerate(reader.views):
        assert isinstance(members, Members)
        fit_members(members, reader.seen(inputs, view), labels, weights, spec)
