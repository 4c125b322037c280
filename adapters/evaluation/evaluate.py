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
from adapters.contract import MELD_LABELS, EmotionScores, Features, LabelSet, TurnInput, Utterance
from adapters.datasets import emodb, emorynlp, fer2013, iemocap, meld, nemo, ravdess, urdu
from adapters.datasets.neutral_talk import read_mono, windows
from adapters.datasets.records import Clip, Clips, Dialogues
from adapters.errors import AdapterError
from adapters.features import visual
from adapters.features.acoustic import SpeechEncoder
from adapters.features.visual import FaceEncoder
from adapters.recogniser import LlmRecogniser, LlmState
from adapters.training.metrics import compute_metrics
from adapters.training.progress import progress

DIALOGUES: dict[str, Callable[[Path, str], Dialogues]] = {
    "meld": meld.load,
    "emorynlp": emorynlp.load,
    "iemocap": iemocap.load,
}
VOICES: dict[str, Callable[[Path], Clips]] = {
    "ravdess": ravdess.load,
    "emodb": emodb.load,
    "nemo": nemo.load,
    "urdu": urdu.load,
}
OTHERS = ("neutral-talk", "fer2013")


def folder_of(data: Path, dataset: str) -> Path:
    """Where a data set is: in the folder of its name, or right in the folder that was given."""
    return data / dataset if (data / dataset).is_dir() else data


def dialogue_turns(dialogues: Dialogues) -> tuple[list[TurnInput], list[int]]:
    """Every labelled turn with the turns before it, by words alone."""
    turns, labels = [], []
    for dialogue in dialogues.dialogues:
        history: list[Utterance] = []
        for line in dialogue:
            if line.label is not None:
                turns.append(TurnInput(line.utterance, tuple(history)))
                labels.append(line.label)
            history.append(line.utterance)
    return turns, labels


def clips_of(clips: tuple[Clip, ...], split: str) -> tuple[Clip, ...]:
    """The clips of a split: ``all`` of a voice corpus, or ``dev``, RAVDESS's actors who are not trained on."""
    if split == "all":
        return clips
    return tuple(clip for clip in clips if (clip.corpus, split) == ("ravdess", "dev") and ravdess.held_out(clip))


def voice_turns(clips: tuple[Clip, ...], encoder: SpeechEncoder) -> tuple[list[TurnInput], list[int]]:
    """Every clip, by voice alone."""
    turns = [TurnInput(Utterance(c.speaker, ""), audio=encoder.encode(read_mono(c.path)).features) for c in clips]
    return turns, [clip.label for clip in clips]


def neutral_talk_turns(data: Path, encoder: SpeechEncoder) -> tuple[list[TurnInput], list[int]]:
    """The windows of neutral talk that are not trained on, by voice alone, all taken as neutral."""
    turns = [
        TurnInput(Utterance("Speaker 1", ""), audio=encoder.encode(window.samples).features)
        for window in windows(data)
        if window.held_out
    ]
    return turns, [MELD_LABELS.labels.index("neutral")] * len(turns)


def face_turns(faces: fer2013.Faces, encoder: FaceEncoder) -> tuple[list[TurnInput], list[int]]:
    """Every picture, by the face alone, as a turn of one frame."""
    frames = encoder(faces.images)
    turns = [TurnInput(Utterance("Speaker 1", ""), video=Features(visual.SPEC, frame[None])) for frame in frames]
    return turns, faces.labels.tolist()


def read_turns(
    data: Path,
    dataset: str,
    split: str,
    encoder: Callable[[], SpeechEncoder],
    expressions: Callable[[], FaceEncoder],
) -> tuple[list[TurnInput], list[int], LabelSet, Counter[str]]:
    """Turns of one split, their class ids, what those stand for, and the rows that were refused.

    Raises:
        AdapterError: The data set is unknown, or it has no such split.
    """
    folder = folder_of(data, dataset)
    if dataset in DIALOGUES:
        dialogues = DIALOGUES[dataset](folder, split)
        turns, labels = dialogue_turns(dialogues)
        known, refused = dialogues.label_set, dialogues.refused
    elif dataset in VOICES:
        clips = VOICES[dataset](folder)
        chosen = clips_of(clips.clips, split)
        if not chosen:
            raise AdapterError(f"{dataset} in {folder} has no clips in split {split!r}: take all, or dev of ravdess")
        turns, labels = voice_turns(chosen, encoder())
        known, refused = MELD_LABELS, clips.refused
    elif dataset == "fer2013":
        faces = fer2013.load(folder, split)
        turns, labels = face_turns(faces, expressions())
        known, refused = MELD_LABELS, faces.refused
    elif dataset == "neutral-talk":
        turns, labels = neutral_talk_turns(data, encoder())
        known, refused = MELD_LABELS, Counter()
    else:
        raise AdapterError(f"unknown data set {dataset!r}: take {', '.join((*DIALOGUES, *VOICES, *OTHERS))}")
    if not turns:
        raise AdapterError(f"{dataset} {split} in {folder} has no turns to evaluate; refused: {dict(refused)}")
    return turns, labels, known, refused


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
    if not turns:
        raise AdapterError("no turns to evaluate: this data set has no such split")
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
    dataset: Annotated[str, typer.Option(help=f"One of {', '.join((*DIALOGUES, *VOICES, *OTHERS))}.")] = "meld",
    split: Annotated[str, typer.Option(help="train, dev or test; all for voices; FER2013's own names.")] = "dev",
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

    model = recogniser.load(checkpoint, backbone, threads=threads, dtype=dtype, abstain_below=abstain_below)
    turns, labels, known, refused = read_turns(data, dataset, split, encoder, FaceEncoder)
    if model.card.labels != known:
        raise AdapterError(
            f"{model.adapter_id} predicts {', '.join(model.card.labels.labels)}, "
            f"but {dataset} is labelled with {', '.join(known.labels)}"
        )
    result = evaluate(model, turns, labels)
    typer.echo(json.dumps({"dataset": dataset, "split": split, "refused": refused, **result}, indent=2))
