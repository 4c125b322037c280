"""Turns as the published method takes them: words with the turns before, voice frames, face frames, the answer.

They come from the authors' processed files (`adapters.datasets.processed`), or, for MELD, from its tables. Those bring
neither voice nor face: both are then one frame of zeros, as wide as the authors' for MELD. An adapter that was trained
on the one is never evaluated on the other.

Letters: ``time`` frames, ``dim`` and ``width`` those of voice and face.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from adapters.datasets import meld
from adapters.datasets.processed import Samples, load_mmsa, load_mse
from adapters.datasets.records import Dialogues, Line
from adapters.errors import AdapterError
from adapters.llm.prompt import anonymise
from adapters.published.sets import Emotions, Sentiment, set_of

PAST = 5  # turns before the one to classify
FRAMES = 64  # width of voice and face frames in the authors' files of MELD
SPLITS = ("train", "valid", "test")
TABLES, PROCESSED = "tables", "processed files"


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One turn; ``value`` is its class id or its intensity."""

    text: str
    audio: Float[Tensor, "time dim"]
    video: Float[Tensor, "time width"]
    value: float


@dataclass(frozen=True, slots=True)
class Turns:
    """A split.

    Attributes:
        turns: At least one.
        source: `TABLES` or `PROCESSED`.
        refused: Rows left out, counted by reason.
    """

    turns: tuple[Turn, ...]
    source: str
    refused: Counter[str]

    @property
    def digest(self) -> str:
        """SHA-256 of every turn's words, frames and answer, in order."""
        sha = hashlib.sha256()
        for turn in self.turns:
            sha.update(repr((turn.text, turn.value, turn.audio.shape, turn.video.shape)).encode())
            sha.update(turn.audio.numpy().tobytes())
            sha.update(turn.video.numpy().tobytes())
        return sha.hexdigest()

    @property
    def widths(self) -> tuple[int, int]:
        """Widths of voice and face frames."""
        return self.turns[0].audio.shape[1], self.turns[0].video.shape[1]


def text_of(dialogue: tuple[Line, ...], turn: int) -> str:
    """A turn with those before it, as one text."""
    lines = anonymise([line.utterance for line in dialogue[: turn + 1]])
    return "\n".join(f"{one.speaker}: {one.text}" for one in lines[-PAST - 1 :])


def turns_of(corpus: Dialogues) -> tuple[Turn, ...]:
    """Every labelled turn of dialogues, by words alone."""
    nothing = torch.zeros(1, FRAMES)
    return tuple(
        Turn(text_of(dialogue, turn), nothing, nothing, float(line.label))
        for dialogue in corpus.dialogues
        for turn, line in enumerate(dialogue)
        if line.label is not None
    )


def load(name: str, data: Path, split: str, dialogues: int = 0) -> Turns:
    """Read one split, from processed files where they are there.

    Args:
        name: The data set, a key of `adapters.published.sets.SETS`.
        data: The folder with the files, or with a folder of the data set's name; or MMSA's file itself.
        split: ``train``, ``valid`` or ``test``; the tables' ``dev`` is ``valid``.
        dialogues: Take so many of the tables only; 0 takes all.

    Raises:
        AdapterError: There is nothing to be read, or it is damaged, or its frames differ in width.
    """
    dataset = set_of(name)
    if split not in SPLITS:
        raise AdapterError(f"unknown split {split!r}: take {', '.join(SPLITS)}")
    found = _processed(name, dataset, data, split)
    if found is None:
        return _tables(name, data, split, dialogues)
    if dialogues:
        raise AdapterError("processed files do not tell dialogues apart: leave out --dialogues and --dev-dialogues")
    path, samples = found
    return _usable(path, _from_samples(dataset, samples))


def load_both(name: str, data: Path, dialogues: int = 0, dev_dialogues: int = 0) -> tuple[Turns, Turns]:
    """Read what is trained on, and what the best epoch is chosen by; so many of the tables' dialogues, 0 for all.

    Raises:
        AdapterError: As `load`, or the two do not go together.
    """
    fitting, valid = load(name, data, "train", dialogues), load(name, data, "valid", dev_dialogues)
    for what, one, other in (("come from", fitting.source, valid.source), ("are", fitting.widths, valid.widths)):
        if one != other:
            raise AdapterError(f"the train split's frames {what} {one}, the valid split's {what} {other}")
    return fitting, valid


def _processed(name: str, dataset: Emotions | Sentiment, data: Path, split: str) -> tuple[Path, Samples] | None:
    """The processed file of a split and its rows, or None where MELD has none and may have tables."""
    file = dataset.file if isinstance(dataset, Sentiment) else f"{name}_{split}.pkl"
    places = [data] if data.is_file() else [folder / file for folder in (data / name, data)]
    path = next((place for place in places if place.is_file()), None)
    if isinstance(dataset, Emotions) and data.is_file():
        raise AdapterError(f"{data} is a file: for {name}, give the folder that holds {file}")
    if path is not None:
        return path, load_mmsa(path, split) if isinstance(dataset, Sentiment) else load_mse(path.parent, name, split)
    if name == "meld":
        return None
    raise AdapterError(f"no {file} in {data}: give the folder that holds the processed files of {name}")


def _from_samples(dataset: Emotions | Sentiment, samples: Samples) -> Turns:
    turns: list[Turn] = []
    refused = Counter(samples.refused)
    for sample in samples.samples:
        value = dataset.labels.index(str(sample.label)) if isinstance(dataset, Emotions) else float(sample.label)
        if isinstance(dataset, Sentiment) and abs(value) > dataset.limit:
            refused[f"a sentiment that is not between -{dataset.limit:g} and {dataset.limit:g}"] += 1
            continue
        turns.append(Turn(sample.text, torch.from_numpy(sample.audio), torch.from_numpy(sample.video), float(value)))
    return Turns(tuple(turns), PROCESSED, refused)


def _tables(name: str, data: Path, split: str, dialogues: int) -> Turns:
    table = {"valid": "dev"}.get(split, split)
    folder = data / name if (data / name).is_dir() else data
    if not (folder / f"{table}_sent_emo.csv").is_file():
        raise AdapterError(f"neither {name}_{split}.pkl nor {table}_sent_emo.csv in {folder}: give their folder")
    corpus = meld.load(folder, table)
    return _usable(folder, Turns(turns_of(Dialogues(corpus.dialogues[: dialogues or None])), TABLES, corpus.refused))


def _usable(path: Path, turns: Turns) -> Turns:
    """The turns, if there are any and their frames are alike."""
    if not turns.turns:
        reasons = ", ".join(f"{count} with {reason}" for reason, count in turns.refused.items())
        raise AdapterError(f"{path} has no row that can be used{': ' * bool(reasons)}{reasons}")
    widths = {(turn.audio.shape[1], turn.video.shape[1]) for turn in turns.turns}
    if len(widths) > 1:
        (audio, video), (other_audio, other_video) = sorted(widths)[:2]
        raise AdapterError(
            f"{path} has voice and face frames {audio} and {video} wide in one row, {other_audio} and {other_video} in "
            "another: one width is needed"
        )
    return turns
