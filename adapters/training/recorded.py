"""Voices and faces of a data set's own recordings, in place of simulated ones.

``python -m tracker.bench.clips`` observes the clips as live turns are observed, and leaves one file per split: a row
for each labelled turn. What the split to fit to holds is learned beside the other voices and faces; fusion is fitted to
the turns of the second split as they were recorded.

Letters: ``turns`` labelled ones, ``summary`` width of a voice's vector, ``face`` width of a face's, ``classes``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import one_hot

from adapters.contract import Absent, Features
from adapters.datasets.records import Dialogues
from adapters.errors import AdapterError
from adapters.features import acoustic, visual
from adapters.readout.face import FACE_DIM, summarise_face
from adapters.readout.head import EmotionHead
from adapters.readout.voice_summary import SUMMARY_DIM, VERSION, summarise
from adapters.training.faces import FaceTurns
from adapters.training.feature_cache import VoiceRows
from adapters.training.modality_scores import TurnScores

_SPECS = torch.tensor([acoustic.SPEC.version, visual.SPEC.version, VERSION])


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """What was recorded of the labelled turns of a split, in order.

    Attributes:
        voice: Summaries; zeros where there is no voice.
        has_voice: Which turns have one.
        face: Likewise.
        has_face: Likewise.
        labels: Class ids.
        speakers: Who speaks, and in which dialogue: a name may be another person's in the next one.
    """

    voice: Float[Tensor, "turns summary"]
    has_voice: Bool[Tensor, " turns"]
    face: Float[Tensor, "turns face"]
    has_face: Bool[Tensor, " turns"]
    labels: Int[Tensor, " turns"]
    speakers: tuple[tuple[int, str], ...]


def place(folder: Path, dataset: str, split: str) -> Path:
    """Where a split's recordings are kept."""
    return folder / f"{dataset}-{split}.safetensors"


class Recordings:
    """Collects what was recorded of a split's labelled turns, one after the other."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, Tensor | None, Tensor | None]] = []

    def add(self, label: int, voice: Features | Absent, face: Features | Absent) -> None:
        """The next turn: its class id, and the frames of its voice and face."""
        heard = torch.from_numpy(summarise(voice.values)) if isinstance(voice, Features) else None
        seen = torch.from_numpy(summarise_face(face.values)) if isinstance(face, Features) else None
        self._rows.append((label, heard, seen))

    def write(self, path: Path) -> None:
        """Keep them (see `place`)."""
        labels, *parts = zip(*self._rows, strict=True)
        tensors = {"labels": torch.tensor(labels), "specs": _SPECS}
        for name, rows, dim in zip(("voice", "face"), parts, (SUMMARY_DIM, FACE_DIM), strict=True):
            tensors[name] = torch.stack([torch.zeros(dim) if row is None else row for row in rows])
            tensors[f"has_{name}"] = torch.tensor([row is not None for row in rows])
        save_file(tensors, path)


def read_recorded(path: Path, dialogues: Dialogues) -> Recorded:
    """Read what `Recordings` has kept.

    Args:
        path: See `place`.
        dialogues: The split that it is of.

    Raises:
        AdapterError: It is missing or damaged, of other turns, or made by other extractors.
    """
    do = "make it by python -m tracker.bench.clips"
    try:
        found = load_file(path)
    except FileNotFoundError as error:
        raise AdapterError(f"no recordings at {path}: {do}") from error
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"{path} cannot be read: {do}") from error
    if not torch.equal(found.get("specs", torch.zeros(0)), _SPECS):
        raise AdapterError(f"{path} was made by other extractors of voice and face: {do} again")
    lines = [(number, line) for number, one in enumerate(dialogues.dialogues) for line in one if line.label is not None]
    labels = torch.tensor([line.label for _, line in lines])
    numbers, flags = torch.float32, torch.bool
    wanted = {
        "voice": ((len(labels), SUMMARY_DIM), numbers),
        "has_voice": ((len(labels),), flags),
        "face": ((len(labels), FACE_DIM), numbers),
        "has_face": ((len(labels),), flags),
        "labels": ((len(labels),), torch.int64),
    }
    there = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in found.items() if name != "specs"}
    if there != wanted or not torch.equal(found["labels"], labels):
        raise AdapterError(f"{path} is of other turns: {do} again, of all dialogues")
    speakers = tuple((number, line.utterance.speaker) for number, line in lines)
    return Recorded(found["voice"], found["has_voice"], found["face"], found["has_face"], labels, speakers)


def with_voices(rows: VoiceRows, recorded: Recorded, corpus: str) -> VoiceRows:
    """The voices with those that were recorded, as a corpus of its own."""
    chosen = recorded.has_voice
    names = np.array([f"{corpus} {speaker}" for _, speaker in recorded.speakers])[chosen.numpy()]
    return replace(
        rows,
        summaries=torch.cat([rows.summaries, recorded.voice[chosen]]),
        labels=torch.cat([rows.labels, recorded.labels[chosen]]),
        corpora=np.concatenate([rows.corpora, np.full(len(names), corpus)]),
        speakers=np.concatenate([rows.speakers, names]),
        held_out=torch.cat([rows.held_out, torch.zeros(len(names), dtype=torch.bool)]),
    )


def with_faces(turns: FaceTurns, recorded: Recorded) -> FaceTurns:
    """The turns with a face, with those that were recorded."""
    chosen = recorded.has_face
    labels = recorded.labels[chosen]
    shares = one_hot(labels, turns.shares.shape[1]).to(turns.shares.dtype)
    return FaceTurns(
        torch.cat([turns.summaries, recorded.face[chosen]]),
        torch.cat([turns.labels, labels]),
        torch.cat([turns.shares, shares]),
    )


@torch.no_grad()
def recorded_scores(head: EmotionHead, words: Float[Tensor, "turns classes"], recorded: Recorded) -> TurnScores:
    """The scores of all modalities of the turns as they were recorded.

    Args:
        head: Its classifiers are fitted; without pseudo tokens.
        words: The words' scores.
        recorded: Voices and faces; a voice is normalised by its speaker's earlier turns in the dialogue.
    """
    before, turns = torch.zeros_like(recorded.voice), torch.zeros(len(recorded.labels))
    heard: dict[tuple[int, str], tuple[Tensor, int]] = {}
    for row, speaker in enumerate(recorded.speakers):
        total, count = heard.get(speaker, (before[row], 0))
        before[row], turns[row] = total, count
        if recorded.has_voice[row]:
            heard[speaker] = total + recorded.voice[row], count + 1
    voice = face = None
    if head.voice is not None:
        voice = head.voice(head.voice.normalise(recorded.voice, before, turns))
    if head.face is not None:
        face = head.face(recorded.face)
    return TurnScores(words.expand(2, 2, -1, -1), voice, face, recorded.has_voice, recorded.has_face)
