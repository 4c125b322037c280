"""``python -m adapters cross-corpus``: does the voice carry over to a corpus that it was not trained on?

Four classes that all corpora have (neutral, sadness, joy, anger); each corpus in turn is left out of training and
judged, once with no earlier turn of its speakers heard and once with all their others. Beside it, all seven classes on
the RAVDESS actors whom the shipped adapter was not trained on. One JSON on stdout.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from sklearn.metrics import recall_score

from adapters.checkpoint import store
from adapters.contract import MELD_LABELS
from adapters.features import acoustic, visual
from adapters.features.acoustic import SpeechEncoder
from adapters.readout.voice import VoiceReader
from adapters.recogniser import PRETRAINED
from adapters.training.feature_cache import VoiceRows, voice_rows
from adapters.training.recipe import RECIPES, Recipe, read_recipe
from adapters.training.runs import Seed
from adapters.training.voices import MOMENTS, centred, fit_voice

HEARD = {"uar_first_turn": MOMENTS[0], "uar_speaker_known": MOMENTS[-1]}
SHARED = ("neutral", "sadness", "joy", "anger")


def leave_out(recipe: Recipe, rows: VoiceRows, corpus: str, seed: int) -> dict[str, float]:
    """Unweighted average recall on one corpus by a reader that never heard it, by turns heard before."""
    shared = [MELD_LABELS.labels.index(name) for name in SHARED]
    usable = np.isin(rows.labels.numpy(), shared) & (rows.corpora != "ordinary")
    torch.manual_seed(seed)
    reader = VoiceReader(recipe.voice_hidden, recipe.members, len(MELD_LABELS), recipe.voice.dropout)
    fit_voice(reader, rows.where(usable & (rows.corpora != corpus)), recipe.voice, seed)
    judged = rows.where(usable & (rows.corpora == corpus))
    return _recalls(reader, judged, shared, seed)


def held_out_actors(name: str, rows: VoiceRows, seed: int) -> dict[str, float]:
    """Unweighted average recall of a checkpoint's voice reader, 7 classes, by turns heard before."""
    judge, _ = store.load(PRETRAINED / name, acoustic.SPEC, visual.SPEC)
    judged = rows.where(rows.held_out.numpy() & (rows.corpora == "ravdess"))
    return _recalls(judge.voice, judged, list(range(len(MELD_LABELS))), seed)


def _recalls(reader: VoiceReader, judged: VoiceRows, classes: list[int], seed: int) -> dict[str, float]:
    recalls: dict[str, float] = {}
    for name, turns in HEARD.items():
        with torch.no_grad():
            scores = reader(centred(reader, judged, turns, seed))[:, classes]
        guesses = np.array(classes)[scores.argmax(1).numpy()]
        recalls[name] = float(recall_score(judged.labels, guesses, average="macro"))
    return recalls


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    config: Annotated[Path, typer.Option(help="The recipe.")] = RECIPES / "default.toml",
    seed: Seed = 0,
) -> None:
    """Leave each corpus out in turn."""
    rows = voice_rows(data, SpeechEncoder)
    recipe = read_recipe(config)
    corpora = sorted(set(rows.corpora.tolist()) - {"ordinary"})
    recalls = {corpus: leave_out(recipe, rows, corpus, seed) for corpus in corpora}
    means = {heard: float(np.mean([by[heard] for by in recalls.values()])) for heard in HEARD}
    actors = held_out_actors("default", rows, seed)
    result = {"seed": seed, "corpus_left_out": recalls, "mean": means, "ravdess_held_out_actors_7_classes": actors}
    typer.echo(json.dumps(result, indent=2))
