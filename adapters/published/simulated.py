"""Voices and faces for turns that have none, as the frames that the tracker's extractors make live.

Each turn draws a clip and a few pictures (see `adapters.training.simulate`), from speakers and pictures that are held
out where the split is not the one that is trained on. Whatever comes of it is a result about this simulation.

Letters: ``time`` frames, ``dim`` width of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from adapters.contract import MELD_LABELS
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Clips
from adapters.datasets.sound import read_clip
from adapters.errors import AdapterError
from adapters.features import acoustic
from adapters.features.acoustic import SpeechEncoder
from adapters.features.visual import FaceEncoder
from adapters.published.inputs import Turn, thinned
from adapters.training.faces import face_frames, face_rows
from adapters.training.feature_cache import cached_tensors, contents, voice_clips
from adapters.training.progress import progress
from adapters.training.recipe import read_recipe, shipped_recipe
from adapters.training.simulate import PRESENT, draw
from adapters.training.sources import sources_of

_MOST_CLIPS, _MOST_HELD_OUT = 120, 40  # of each emotion
_FACES = 60  # turns with a face of each emotion
_SEED = 0


def simulated_turns(turns: Sequence[Turn], data: Path, *, held_out: bool) -> tuple[Turn, ...]:
    """The turns, most of them with a voice and many with a face.

    Args:
        turns: Labelled with MELD's emotions; their own frames are left out.
        data: Folder with one folder per data set; those of the default recipe are read.
        held_out: Draw from speakers and pictures that are not trained on.

    Raises:
        AdapterError: A data set is missing or damaged.
    """
    sources = sources_of(read_recipe(shipped_recipe("default")))
    if sources.faces is None:
        raise AdapterError("the default recipe reads no faces")
    voices, voice_labels = _voices(sources.voices, data, held_out=held_out)
    rows = face_rows(sources.faces, sources.labels, data, FaceEncoder)
    faces, face_labels, _ = face_frames(rows.where(rows.held_out == held_out), _FACES, _SEED)
    random = np.random.default_rng([_SEED, held_out])
    labels = torch.tensor([int(turn.value) for turn in turns])
    heard = draw(labels, voice_labels, MELD_LABELS, _SEED)
    seen = draw(labels, face_labels, MELD_LABELS, _SEED + 1)
    return tuple(
        replace(turn, audio=voices[clip], video=faces[face]).only(
            voice=random.random() < PRESENT["voice"], face=random.random() < PRESENT["face"]
        )
        for turn, clip, face in zip(turns, heard.tolist(), seen.tolist(), strict=True)
    )


def _voices(
    corpora: Sequence[Corpus[Clips]], data: Path, *, held_out: bool
) -> tuple[list[Float[Tensor, "time dim"]], Int[Tensor, " clips"]]:
    """The frames of some clips of each emotion, and their class ids."""
    every = voice_clips(corpora, MELD_LABELS, data)
    random = np.random.default_rng(_SEED)
    most = _MOST_HELD_OUT if held_out else _MOST_CLIPS
    labels = np.array(every.labels)
    usable = np.array([clip.held_out for clip in every.clips]) == held_out
    chosen = [
        index
        for label in range(len(MELD_LABELS))
        for index in random.permutation(np.flatnonzero(usable & (labels == label)))[:most].tolist()
    ]
    clips = [every.clips[index] for index in chosen]

    def make() -> dict[str, Tensor]:
        encoder = SpeechEncoder()
        frames = [
            thinned(encoder.encode(read_clip(clip)).features.values) for clip in progress(clips, "encoding voices")
        ]
        return {"frames": torch.cat(frames).half(), "lengths": torch.tensor([len(one) for one in frames])}

    found = cached_tensors("thinned", (acoustic.SPEC, contents(clips)), make)
    return list(found["frames"].float().split(found["lengths"].tolist())), torch.from_numpy(labels[chosen])
