"""What the first voice of a speaker may overrule: ``python -m adapters.evaluation.first_voice --data DATA``.

RAVDESS's held-out actors with the sentences that they say, and the held-out windows of neutral talk with neutral
sentences of MELD dev, each as a speaker's first turn. Prints the accuracy for each probability without the voice from
which that voice may not overrule the label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from adapters import recogniser
from adapters.assets import BACKBONE, asset_folder
from adapters.contract import MELD_LABELS, Absent, TurnInput, Utterance
from adapters.datasets import meld, neutral_talk, ravdess
from adapters.evaluation.evaluate import dialogue_turns, voice_turns
from adapters.features.acoustic import SpeechEncoder
from adapters.recogniser import LlmRecogniser
from adapters.training.progress import progress

LIMITS = (0.0, 0.4, 0.45, 0.5, 0.6, 0.7, 1.1)
_SENTENCES = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
_PER_WINDOW = 6

Turn = tuple[TurnInput, str]
"""What is judged, and its label."""


def acted(data: Path, encoder: SpeechEncoder) -> Iterator[Turn]:
    """RAVDESS: the sentence is field 5 of a file's name."""
    clips = ravdess.CORPUS.read(data, "dev")
    for clip, turn, label in zip(clips.clips, voice_turns(clips, encoder), clips.labels, strict=True):
        said = Utterance("Speaker 1", _SENTENCES[clip.path.name.split("-")[4]])
        yield TurnInput(said, audio=turn.audio), MELD_LABELS.labels[int(label)]


def neutral(data: Path, encoder: SpeechEncoder) -> Iterator[Turn]:
    """Windows of ordinary talk, each with some neutral sentences."""
    dialogues = meld.CORPUS.read(data, "dev")
    rng = np.random.default_rng(0)
    turns = zip(dialogue_turns(dialogues), dialogues.labels, strict=True)
    said = [turn.utterance for turn, label in turns if MELD_LABELS.labels[int(label)] == "neutral"]
    for turn in voice_turns(neutral_talk.CORPUS.read(data, "dev"), encoder):
        for chosen in rng.choice(len(said), _PER_WINDOW, replace=False):
            yield TurnInput(said[chosen], audio=turn.audio), "neutral"


def accuracies(model: LlmRecogniser, turns: Sequence[Turn]) -> dict[float, float]:
    """The accuracy for each of `LIMITS`; 0: by everything but the voice, above 1: the voice may overrule anything."""
    right = dict.fromkeys(LIMITS, 0)
    with unlimited():
        for turn, label in progress(turns, "judging"):
            without, both = model.scores(replace(turn, audio=Absent("left out"))), model.scores(turn)
            for limit in LIMITS:
                right[limit] += (without if max(without.probabilities) >= limit else both).label == label
    return {limit: count / len(turns) for limit, count in right.items()}


@contextmanager
def unlimited() -> Iterator[None]:
    """Let a first voice overrule anything meanwhile."""
    limit, recogniser._CLEAR = recogniser._CLEAR, 1.1
    try:
        yield
    finally:
        recogniser._CLEAR = limit


def main(data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")]) -> None:
    """Print the accuracies."""
    model, encoder = recogniser.load(backbone=asset_folder(BACKBONE)), SpeechEncoder()
    for name, turns in (("acted", [*acted(data, encoder)]), ("neutral", [*neutral(data, encoder)])):
        found = accuracies(model, turns)
        typer.echo(f"{name}, {len(turns)} turns: " + ", ".join(f"{limit:g}: {found[limit]:.3f}" for limit in LIMITS))


if __name__ == "__main__":
    typer.run(main)
