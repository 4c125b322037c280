"""``python -m adapters.evaluate``: a checkpoint on a data set, as live use would judge it; one JSON on stdout."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from adapters import recogniser
from adapters.cache import asset_folder
from adapters.contract import MELD_LABELS, TurnInput, Utterance
from adapters.datasets import emodb, meld, nemo, ravdess, urdu
from adapters.datasets.ordinary import read_mono, windows
from adapters.datasets.records import Clips
from adapters.errors import AdapterError
from adapters.features.acoustic import SpeechEncoder
from adapters.recogniser import Recogniser
from adapters.scores import figures

VOICES: dict[str, Callable[[Path], Clips]] = {
    "ravdess": ravdess.load,
    "emodb": emodb.load,
    "nemo": nemo.load,
    "urdu": urdu.load,
}


def dialogue_turns(data: Path, split: str) -> tuple[list[TurnInput], list[int]]:
    """Every turn of a MELD split with the turns before it, by words alone."""
    turns, labels = [], []
    for dialogue in meld.load(data / "meld", split).dialogues:
        said: list[Utterance] = []
        for line in dialogue:
            if line.label is not None:
                turns.append(TurnInput(line.utterance, tuple(said)))
                labels.append(line.label)
            said.append(line.utterance)
    return turns, labels


def voice_turns(data: Path, corpus: str, split: str, encoder: SpeechEncoder) -> tuple[list[TurnInput], list[int]]:
    """Every clip of a voice corpus, by voice alone; ``dev`` is RAVDESS's actors who are not trained on."""
    clips = VOICES[corpus](data / corpus).clips
    if split != "all":
        clips = tuple(c for c in clips if (corpus, split) == ("ravdess", "dev") and ravdess.held_out(c))
    turns = [TurnInput(Utterance(c.speaker, ""), audio=encoder.encode(read_mono(c.path)).features) for c in clips]
    return turns, [clip.label for clip in clips]


def ordinary_turns(data: Path, encoder: SpeechEncoder) -> tuple[list[TurnInput], list[int]]:
    """The windows of ordinary talk that are not trained on, by voice alone, all taken as neutral."""
    turns = [
        TurnInput(Utterance("Speaker 1", ""), audio=encoder.encode(window.samples).features)
        for window in windows(data)
        if window.held_out
    ]
    return turns, [MELD_LABELS.labels.index("neutral")] * len(turns)


def evaluate(judge: Recogniser, turns: list[TurnInput], labels: list[int]) -> dict[str, Any]:
    """All figures of a checkpoint on judged turns."""
    if not turns:
        raise AdapterError("no turns to judge: this data set has no such split")
    begun = time.monotonic()
    scored = [judge.scores(turn) for turn in turns]
    seconds = time.monotonic() - begun
    probabilities = np.array([scores.probabilities for scores in scored])
    guessed = [scores.label for scores in scored]
    abstained = [scores.abstained is not None for scores in scored]
    calm = [a or g == "neutral" for a, g in zip(abstained, guessed, strict=True)]
    return {
        **figures(probabilities, np.array(labels), MELD_LABELS.labels),
        "abstained": float(np.mean(abstained)),
        "neutral_or_abstained": float(np.mean(calm)),
        "predicted": {name: guessed.count(name) for name in MELD_LABELS.labels},
        "adapter": judge.adapter_id,
        "backbone": judge.backbone_id,
        "adapter_parameters": judge.card.about.get("parameters"),
        "ms_per_turn": 1000 * seconds / len(turns),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    dataset: Annotated[str, typer.Option(help="meld, ravdess, emodb, nemo, urdu or ordinary.")] = "meld",
    split: Annotated[str, typer.Option(help="train, dev or test; all for a voice corpus.")] = "dev",
    checkpoint: Annotated[str, typer.Option(help="Folder of the adapter, or the name of one that ships.")] = "default",
    backbone: Annotated[str | None, typer.Option(help="Folder or hub name; the pulled asset if not given.")] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="Threads of one operation.")] = None,
    abstain_below: Annotated[float, typer.Option(help="Confidence under which no class is reported.")] = 0.0,
) -> None:
    """Evaluate an adapter."""
    try:
        judge = recogniser.load(checkpoint, backbone, threads=threads, dtype=dtype, abstain_below=abstain_below)
        if dataset == "meld":
            turns, labels = dialogue_turns(data, split)
        else:
            encoder = SpeechEncoder(asset_folder("whisper-tiny.en"), threads=threads or 0)
            if dataset == "ordinary":
                turns, labels = ordinary_turns(data, encoder)
            elif dataset in VOICES:
                turns, labels = voice_turns(data, dataset, split, encoder)
            else:
                raise AdapterError(f"unknown data set {dataset!r}: take meld, ordinary, {', '.join(VOICES)}")
        result = evaluate(judge, turns, labels)
    except AdapterError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(json.dumps({"dataset": dataset, "split": split, **result}, indent=2))


if __name__ == "__main__":
    typer.run(main)
