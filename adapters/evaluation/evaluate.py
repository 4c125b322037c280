"""A checkpoint on a data set, as in live use; one JSON on stdout."""

from __future__ import annotations

import json
import resource
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from adapters import recogniser
from adapters.contract import EmotionScores, Features, TurnInput, Utterance
from adapters.datasets.corpus import Corpus, find
from adapters.datasets.records import Clips, Dialogues, Faces, Ratings
from adapters.datasets.sound import read_clip
from adapters.errors import AdapterError
from adapters.features import visual
from adapters.features.acoustic import SpeechEncoder
from adapters.features.visual import FaceEncoder
from adapters.recogniser import LlmRecogniser, LlmState
from adapters.training.metrics import compute_metrics
from adapters.training.progress import progress


def dialogue_turns(dialogues: Dialogues) -> list[TurnInput]:
    """Every labelled turn with the turns before it, by words alone."""
    turns = []
    for dialogue in dialogues.dialogues:
        history: list[Utterance] = []
        for line in dialogue:
            if line.label is not None:
                turns.append(TurnInput(line.utterance, tuple(history)))
            history.append(line.utterance)
    return turns


def voice_turns(clips: Clips, encoder: SpeechEncoder) -> list[TurnInput]:
    """Every clip, by voice alone."""
    return [
        TurnInput(Utterance(clip.speaker, ""), audio=encoder.encode(read_clip(clip)).features) for clip in clips.clips
    ]


def face_turns(faces: Faces, encoder: FaceEncoder) -> list[TurnInput]:
    """Every picture, by the face alone, as a turn of one frame."""
    frames = encoder(faces.images)
    return [TurnInput(Utterance("Speaker 1", ""), video=Features(visual.SPEC, frame[None])) for frame in frames]


def read_turns(
    corpus: Corpus[Any],
    data: Path,
    split: str,
    voices: Callable[[], SpeechEncoder],
    faces: Callable[[], FaceEncoder],
) -> tuple[list[TurnInput], list[int], Counter[str]]:
    """Turns of one split, their class ids, and the rows that were refused.

    Args:
        corpus: What to read.
        data: Folder with one folder per data set, or of the data set itself.
        split: Its name.
        voices: Loads the encoder of voices.
        faces: Loads the encoder of faces.

    Raises:
        AdapterError: There is no such split, or the data set holds no turns.
    """
    match corpus.read(data, split):
        case Dialogues() as found:
            turns = dialogue_turns(found)
        case Clips() as found:
            turns = voice_turns(found, voices())
        case Faces() as found:
            turns = face_turns(found, faces())
        case Ratings():
            raise AdapterError(f"{corpus.name} holds ratings, no emotions: python -m adapters dimensions learns them")
        case _:
            raise AdapterError(f"{corpus.name} holds processed features: take python -m adapters published evaluate")
    return turns, list(map(int, found.labels)), found.refused


def set_metrics(model: LlmRecogniser, scored: list[EmotionScores], labels: list[int]) -> dict[str, Any]:
    """Coverage and size of the conformal sets; None where the adapter has none."""
    if model.card.sets is None:
        return dict.fromkeys(("sets_target_coverage", "sets_coverage", "sets_coverage_per_class", "sets_mean_size"))
    names = model.card.labels.labels
    sets = [model.emotions(scores) for scores in scored]
    held = np.array([names[label] in found for found, label in zip(sets, labels, strict=True)])
    by_class = {name: held[np.array(labels) == i] for i, name in enumerate(names)}
    return {
        "sets_target_coverage": model.card.sets.coverage,
        "sets_coverage": float(held.mean()),
        "sets_coverage_per_class": {name: float(rows.mean()) for name, rows in by_class.items() if len(rows)},
        "sets_mean_size": float(np.mean([len(found) for found in sets])),
    }


def evaluate(model: LlmRecogniser, turns: list[TurnInput], labels: list[int]) -> dict[str, Any]:
    """All metrics of a checkpoint on some turns; the keys do not depend on the data."""
    begun = time.monotonic()
    scored: list[EmotionScores] = []
    state = LlmState()
    for turn in progress(turns, "evaluating"):  # as live: what a turn shares with the one before is not read again
        scores, state = model.follow(turn, state.without_voices())
        scored.append(scores)
    seconds = time.monotonic() - begun
    names = model.card.labels.labels
    probabilities = np.array([scores.probabilities for scores in scored])
    predicted = [scores.label for scores in scored]
    abstained = [scores.abstained is not None for scores in scored]
    neutral = [a or g == "neutral" for a, g in zip(abstained, predicted, strict=True)]
    return {
        **compute_metrics(probabilities, np.array(labels), names),
        **set_metrics(model, scored, labels),
        "abstained": float(np.mean(abstained)),
        "neutral_or_abstained": float(np.mean(neutral)),
        "predicted": {name: predicted.count(name) for name in names},
        "adapter": model.adapter_id,
        "backbone": model.backbone_id,
        "adapter_parameters": model.card.about.get("parameters"),
        "parameters": model.parameters,
        "seconds": seconds,
        "ms_per_turn": 1000 * seconds / len(turns),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set, or of the data set itself.")],
    dataset: Annotated[str, typer.Option(help="One that python -m adapters corpora lists.")] = "meld",
    split: Annotated[str, typer.Option(help="One of the data set's, such as train, dev or test.")] = "dev",
    checkpoint: Annotated[
        str, typer.Option(help="Folder of the adapter, the name of one that ships, or hf:owner/name.")
    ] = "default",
    backbone: Annotated[str | None, typer.Option(help="Folder or hub name; the pulled asset if not given.")] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="Threads of one operation.", min=1)] = None,
    abstain_below: Annotated[float, typer.Option(help="Confidence under which no class is reported.")] = 0.0,
) -> None:
    """Evaluate an adapter."""

    def encoder() -> SpeechEncoder:
        return SpeechEncoder(threads=threads or 0)

    corpus = find(dataset)
    model = recogniser.load(checkpoint, backbone, threads=threads, dtype=dtype, abstain_below=abstain_below)
    turns, labels, refused = read_turns(corpus, data, split, encoder, FaceEncoder)
    predicted = model.labels.labels
    if not set(corpus.names()) <= set(predicted):
        raise AdapterError(
            f"{model.adapter_id} predicts {', '.join(predicted)}, "
            f"but {dataset} is labelled with {', '.join(corpus.names())}; "
            "train one with a recipe that names the data set"
        )
    result = evaluate(model, turns, [predicted.index(corpus.names()[label]) for label in labels])
    typer.echo(json.dumps({"dataset": dataset, "split": split, "refused": refused, **result}, indent=2))
