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

from adapters.contract import LabelSet, Utterance
from adapters.datasets.cache import clean_up, training_folder
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Clip, Clips, Dialogues
from adapters.datasets.sound import read_clip
from adapters.features.acoustic import SPEC, Encoded
from adapters.llm.backbone import Backbone
from adapters.llm.prompt import Prompter, PromptSpec
from adapters.readout.ensemble import pool
from adapters.readout.voice_summary import VERSION, summarise
from adapters.training.progress import progress


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
    label_set: LabelSet


@dataclass(frozen=True, slots=True)
class VoiceRows:
    """Voices: one summary each.

    Attributes:
        summaries: Their vectors.
        labels: Class ids.
        corpora: The data set that each is from.
        speakers: Who speaks.
        held_out: Which ones are not trained on.
        label_set: What the class ids stand for.
    """

    summaries: Float[Tensor, "turns summary"]
    labels: Int[Tensor, " turns"]
    corpora: np.ndarray
    speakers: np.ndarray
    held_out: Bool[Tensor, " turns"]
    label_set: LabelSet

    def where(self, rows: np.ndarray) -> VoiceRows:
        """Some of the rows."""
        chosen = torch.from_numpy(rows)
        return VoiceRows(
            self.summaries[chosen],
            self.labels[chosen],
            self.corpora[rows],
            self.speakers[rows],
            self.held_out[chosen],
            self.label_set,
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


def turn_states(
    dialogues: Sequence[Sequence[Utterance]], backbone: Backbone, prompter: Prompter, spec: PromptSpec
) -> Float[Tensor, "turns read parts d"]:
    """The LLM's pooled states of every turn, in float16: one pass per dialogue."""

    def make() -> Tensor:
        rows: list[Tensor] = []
        for dialogue in progress(dialogues, "reading dialogues"):
            for chunk in chunks(dialogue, prompter):
                states = backbone.states(chunk.ids)
                rows += [pool(states, start, end) for start, end in chunk.spans]
        return torch.stack(rows).half()

    texts = [(turn.speaker, turn.text) for dialogue in dialogues for turn in dialogue]
    key = (
        backbone.weights_digest,
        backbone.lora,
        backbone.read,
        spec,
        [len(dialogue) for dialogue in dialogues],
        texts,
    )
    return cached("words", key, make)


def word_rows(
    corpus: Dialogues, label_set: LabelSet, backbone: Backbone, prompter: Prompter, spec: PromptSpec
) -> WordRows:
    """Read a text corpus with the LLM: one pass per dialogue."""
    lines = [line for dialogue in corpus.dialogues for line in dialogue]
    states = turn_states([[line.utterance for line in one] for one in corpus.dialogues], backbone, prompter, spec)
    labels = torch.tensor([-1 if line.label is None else line.label for line in lines])
    return WordRows(states[labels >= 0].float(), labels[labels >= 0], torch.tensor(corpus.dialogue_ids), label_set)


@dataclass(frozen=True, slots=True)
class VoiceClips:
    """Clips of several data sets.

    Attributes:
        clips: The clips.
        corpora: The name of each one's data set.
        labels: Class ids in the label set that is learned.
        label_set: What these stand for.
    """

    clips: tuple[Clip, ...]
    corpora: tuple[str, ...]
    labels: tuple[int, ...]
    label_set: LabelSet

    def rows(self, summaries: Float[Tensor, "turns summary"]) -> VoiceRows:
        """The clips with what was made of them."""
        named = list(zip(self.corpora, self.clips, strict=True))
        return VoiceRows(
            summaries,
            torch.tensor(self.labels),
            np.array(self.corpora),
            np.array([f"{corpus} {clip.speaker}" for corpus, clip in named]),
            torch.tensor([clip.held_out for clip in self.clips]),
            self.label_set,
        )


def voice_clips(corpora: Iterable[Corpus[Clips]], label_set: LabelSet, data: Path) -> VoiceClips:
    """The clips of some data sets whose labels, by name, are among those that are learned."""
    found = [
        (clip, corpus.name, label_set.labels.index(corpus.names()[clip.label]))
        for corpus in corpora
        for clip in corpus.read(data, "all").clips
        if corpus.names()[clip.label] in label_set.labels
    ]
    clips, names, labels = zip(*found, strict=True)
    return VoiceClips(clips, names, labels, label_set)


def voice_rows(
    corpora: Iterable[Corpus[Clips]], label_set: LabelSet, data: Path, encoder: Callable[[], Encoder]
) -> VoiceRows:
    """Encode the clips of some data sets.

    Args:
        corpora: Which ones.
        label_set: The labels that are learned; clips of others are left out.
        data: Folder with one folder per data set.
        encoder: Loads the speech encoder, if something is not in the cache.

    Raises:
        AdapterError: A data set is missing or damaged.
    """
    chosen = voice_clips(corpora, label_set, data)

    def make() -> Tensor:
        loaded = encoder()
        return torch.from_numpy(
            np.stack([_summary(loaded, read_clip(clip)) for clip in progress(chosen.clips, "encoding voices")])
        )

    return chosen.rows(cached("voices", (SPEC, VERSION, contents(chosen.clips)), make))


def contents(clips: Sequence[Clip]) -> list[object]:
    """What is in the clips, as a cache's key."""
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in {clip.path for clip in clips}}
    return [(digests[clip.path], clip.span) for clip in clips]


def _summary(encoder: Encoder, samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " summary"]:
    return summarise(encoder.encode(samples).features.values)
