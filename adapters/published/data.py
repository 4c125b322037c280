"""Turns as the published method takes them: words with the turns before, voice frames, face frames, the answer.

They come from the authors' processed files (`adapters.datasets.processed`), or, for MELD, from its tables. Those bring
neither voice nor face: both are then one frame of zeros, as wide as the authors' for MELD; or they are simulated, with
the features that the tracker has live (`adapters.published.simulated`). An adapter that was trained on the one is never
evaluated on the other.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from adapters.datasets import meld, processed
from adapters.datasets.processed import Samples, file_of
from adapters.datasets.records import Dialogues
from adapters.errors import AdapterError
from adapters.published.checkpoint import MseCard, assert_beside
from adapters.published.inputs import FRAMES, LIVE, PROCESSED, TABLES, Turn, text_of
from adapters.published.model import FrozenLlm
from adapters.published.sets import Emotions, Sentiment, set_of
from adapters.published.simulated import simulated_turns

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class Turns:
    """A split.

    Attributes:
        turns: At least one.
        source: `TABLES`, `PROCESSED` or `LIVE` of `adapters.published.inputs`.
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


def turns_of(corpus: Dialogues) -> tuple[Turn, ...]:
    """Every labelled turn of dialogues, by words alone."""
    nothing = torch.zeros(1, FRAMES)
    return tuple(
        Turn(text_of([one.utterance for one in dialogue[: turn + 1]]), nothing, nothing, float(line.label))
        for dialogue in corpus.dialogues
        for turn, line in enumerate(dialogue)
        if line.label is not None
    )


def load(name: str, data: Path, split: str, dialogues: int = 0, *, live: bool = False) -> Turns:
    """Read one split, from processed files where they are there.

    Args:
        name: The data set, a key of `adapters.published.sets.SETS`.
        data: The folder with the files, or with a folder of the data set's name; or MMSA's file itself.
        split: ``train``, ``valid`` or ``test``; the tables' ``dev`` is ``valid``.
        dialogues: Take so many of the tables only; 0 takes all.
        live: Take the tables, with simulated voices and faces as the tracker reads them.

    Raises:
        AdapterError: There is nothing to be read, or it is damaged, or its frames differ in width.
    """
    dataset = set_of(name)
    if split not in SPLITS:
        raise AdapterError(f"unknown split {split!r}: take {', '.join(SPLITS)}")
    if live:
        return _simulated(name, data, split, dialogues)
    found = _processed(name, dataset, data, split)
    if found is None:
        return _tables(name, data, split, dialogues)
    if dialogues:
        raise AdapterError("processed files do not tell dialogues apart: leave out --dialogues and --dev-dialogues")
    path, samples = found
    return _usable(path, _from_samples(dataset, samples))


def assert_fits(path: Path, made: MseCard, llm: FrozenLlm, turns: Turns) -> None:
    """Compare what an adapter was made for with the LLM and the turns at hand.

    Raises:
        AdapterError: They differ.
    """
    assert_beside(path, made, llm)
    if made.source != turns.source:
        raise AdapterError(f"{path} was trained on {made.source}, the turns at hand are from {turns.source}")
    for what, wanted, given in zip(
        ("voice", "face"), (made.shape.audio.dim, made.shape.video.dim), turns.widths, strict=True
    ):
        if wanted != given:
            raise AdapterError(f"{path} reads {what} frames {wanted} wide, the {turns.source} have them {given} wide")


def load_both(
    name: str, data: Path, dialogues: int = 0, dev_dialogues: int = 0, *, live: bool = False
) -> tuple[Turns, Turns]:
    """Read what is trained on, and what the best epoch is chosen by; so many of the tables' dialogues, 0 for all.

    Raises:
        AdapterError: As `load`, or the two do not go together.
    """
    fitting = load(name, data, "train", dialogues, live=live)
    valid = load(name, data, "valid", dev_dialogues, live=live)
    for what, one, other in (("come from", fitting.source, valid.source), ("are", fitting.widths, valid.widths)):
        if one != other:
            raise AdapterError(f"the train split's frames {what} {one}, the valid split's {what} {other}")
    return fitting, valid


def _processed(name: str, dataset: Emotions | Sentiment, data: Path, split: str) -> tuple[Path, Samples] | None:
    """The processed file of a split and its rows, or None where MELD has none and may have tables."""
    file = file_of(name, split)
    places = [data] if data.is_file() else [folder / file for folder in (data / name, data)]
    path = next((place for place in places if place.is_file()), None)
    if isinstance(dataset, Emotions) and data.is_file():
        raise AdapterError(f"{data} is a file: for {name}, give the folder that holds {file}")
    if path is not None:
        return path, processed.load(name, path, split)
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
    folder, corpus = _dialogues(name, data, split, dialogues)
    return _usable(folder, Turns(turns_of(corpus), TABLES, corpus.refused))


def _simulated(name: str, data: Path, split: str, dialogues: int) -> Turns:
    if name != "meld":
        raise AdapterError(f"live features are simulated for meld alone, not for {name}: leave out --live")
    folder, corpus = _dialogues(name, data, split, dialogues)
    clips = folder.parent if folder != data else data
    turns = simulated_turns(turns_of(corpus), clips, held_out=split != SPLITS[0])
    return _usable(folder, Turns(turns, LIVE, corpus.refused))


def _dialogues(name: str, data: Path, split: str, dialogues: int) -> tuple[Path, Dialogues]:
    """The folder of MELD's tables, and the first dialogues of one; 0 takes all."""
    table = {"valid": "dev"}.get(split, split)
    folder = data / name if (data / name).is_dir() else data
    if not (folder / f"{table}_sent_emo.csv").is_file():
        raise AdapterError(f"neither {name}_{split}.pkl nor {table}_sent_emo.csv in {folder}: give their folder")
    corpus = meld.load(folder, table)
    return folder, replace(corpus, dialogues=corpus.dialogues[: dialogues or None])


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
