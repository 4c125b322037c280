"""Corpora as arrays: what the frozen models make of each turn, computed once and kept in the cache folder.

The LLM and the speech encoder are frozen, so their output for a corpus never changes. It is kept under a key of
everything that it depends on: the models, the specs, and the data's own content.

Letters: ``turns``, ``read`` layers, ``d`` the LLM's width, ``summary`` width of a voice's vector.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapters.contract import MELD_LABELS, Utterance
from adapters.datasets import emodb, nemo, ravdess, urdu
from adapters.datasets.cache import clean_up, training_folder
from adapters.datasets.neutral_talk import read_mono, windows
from adapters.datasets.records import Clip, Dialogues
from adapters.features.acoustic import SPEC, Encoded
from adapters.llm.backbone import Backbone
from adapters.llm.prompt import Prompter, PromptSpec
from adapters.readout.ensemble import pool
from adapters.readout.voice_summary import VERSION, summarise
from adapters.training.progress import progress

_CORPORA = (emodb, nemo, ravdess, urdu)
_HELD_OUT = {"emodb": "16", "nemo": "MP0", "urdu": "SM3"}  # one speaker each who is never trained on
_NEUTRAL = MELD_LABELS.labels.index("neutral")


class Encoder(Protocol):
    """Encodes samples (`adapters.features.acoustic.SpeechEncoder`)."""

    def encode(self, samples: Float32[np.ndarray, " samples"]) -> Encoded:
        """Features of one turn."""


@dataclass(frozen=True, slots=True)
class WordRows:
    """A text corpus: pooled states and class id of every labelled turn, and which dialogue it is of."""

    states: Float[Tensor, "turns read parts d"]
    labels: Int[Tensor, " turns"]
    dialogues: Int[Tensor, " turns"]


@dataclass(frozen=True, slots=True)
class VoiceRows:
    """Voices: one summary each.

    Attributes:
        summaries: Their vectors.
        labels: Class ids.
        corpora: Where each is from; ``neutral-talk`` for unlabelled talk, taken as neutral.
        speakers: Who speaks; the recording where the speaker is unknown.
        held_out: Which ones are not trained on.
    """

    summaries: Float[Tensor, "turns summary"]
    labels: Int[Tensor, " turns"]
    corpora: np.ndarray
    speakers: np.ndarray
    held_out: Bool[Tensor, " turns"]

    def where(self, rows: np.ndarray) -> VoiceRows:
        """Some of the rows."""
        chosen = torch.from_numpy(rows)
        return VoiceRows(
            self.summaries[chosen], self.labels[chosen], self.corpora[rows], self.speakers[rows], self.held_out[chosen]
        )


def cached_tensors(kind: str, key: Iterable[object], make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors from the cache, or made and put there."""
    sha = hashlib.sha256("\n".join(map(repr, key)).encode()).hexdigest()[:24]
    path = training_folder() / f"{kind}-{sha}.safetensors"
    try:
        found = load_file(path)
        os.utime(path)
    except FileNotFoundError:  # not there, or another run has just made room
        found = {name: tensor.contiguous() for name, tensor in make().items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        save_file(found, partial)
        partial.rename(path)
    clean_up(spare=path)
    return found


def cached(kind: str, key: Iterable[object], make: Callable[[], Tensor]) -> Tensor:
    """A tensor from the cache, or made and put there."""
    return cached_tensors(kind, key, lambda: {"rows": make()})["rows"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a dialogue that is read at once.

    Attributes:
        ids: Its tokens.
        spans: Where its own turns are; those before them are context.
    """

    ids: Int[Tensor, " time"]
    spans: tuple[tuple[int, int], ...]


def chunks(dialogue: Sequence[Utterance], prompter: Prompter) -> list[Chunk]:
    """A dialogue in as few stretches as it fits into; each turn but the first ones has half a window before it."""
    layout = prompter.layout(dialogue)
    spans = layout.spans
    if len(spans) == len(dialogue):
        return [Chunk(layout.ids, spans)]
    spans = spans[len(spans) // 2 :]
    return [*chunks(dialogue[: len(dialogue) - len(spans)], prompter), Chunk(layout.ids, spans)]


def word_rows(corpus: Dialogues, backbone: Backbone, prompter: Prompter, spec: PromptSpec) -> WordRows:
    """Read a text corpus with the LLM: one pass per dialogue."""

    def make() -> Tensor:
        rows: list[Tensor] = []
        for dialogue in progress(corpus.dialogues, "reading dialogues"):
            for chunk in chunks([line.utterance for line in dialogue], prompter):
                states = backbone.states(chunk.ids)
                rows += [pool(states, start, end) for start, end in chunk.spans]
        return torch.stack(rows).half()

    lines = [line for dialogue in corpus.dialogues for line in dialogue]
    texts = [(line.utterance.speaker, line.utterance.text) for line in lines]
    key = (backbone.weights_digest, backbone.read, spec, [len(dialogue) for dialogue in corpus.dialogues], texts)
    states = cached("words", key, make)
    labels = torch.tensor([-1 if line.label is None else line.label for line in lines])
    return WordRows(states[labels >= 0].float(), labels[labels >= 0], torch.tensor(corpus.dialogue_ids))


def voice_rows(data: Path, encoder: Callable[[], Encoder]) -> VoiceRows:
    """Encode all voice corpora and neutral talk.

    Args:
        data: Folder with one folder per corpus.
        encoder: Loads the speech encoder, if something is not in the cache.
    """
    clips = [clip for corpus in _CORPORA for clip in corpus.load(data / corpus.__name__.rpartition(".")[2]).clips]
    talk = list(windows(data))

    def make() -> Tensor:
        loaded = encoder()
        sounds = ((read_mono(clip.path)) for clip in clips)
        encoded = [_summary(loaded, samples) for samples in progress(sounds, "encoding voices", total=len(clips))]
        encoded += [_summary(loaded, window.samples) for window in talk]
        return torch.from_numpy(np.stack(encoded))

    files = contents(clips)
    talk_digests = [_digest(window.samples.tobytes()) for window in talk]
    summaries = cached("voices", (SPEC, VERSION, files, talk_digests), make)
    return VoiceRows(
        summaries,
        torch.tensor([clip.label for clip in clips] + [_NEUTRAL] * len(talk)),
        np.array([clip.corpus for clip in clips] + ["neutral-talk"] * len(talk)),
        np.array([f"{clip.corpus} {clip.speaker}" for clip in clips] + [window.recording for window in talk]),
        torch.tensor([held_out(clip) for clip in clips] + [window.held_out for window in talk]),
    )


def contents(clips: Sequence[Clip]) -> list[str]:
    """What is in the clips' files, as a cache's key."""
    return [_digest(clip.path.read_bytes()) for clip in clips]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _summary(encoder: Encoder, samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " summary"]:
    return summarise(encoder.encode(samples).features.values)


def held_out(clip: Clip) -> bool:
    """Whether a clip is of a speaker who is kept out of training."""
    return ravdess.held_out(clip) if clip.corpus == "ravdess" else clip.speaker == _HELD_OUT[clip.corpus]
