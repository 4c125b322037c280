"""Does the voice classifier carry over to a corpus that it was not trained on?

Four classes that all corpora have (neutral, sadness, joy, anger); each corpus in turn is left out of training and
evaluated, once without and once with all other turns of its speakers. Beside it, all seven classes on
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
from adapters.checkpoint.hub import PRETRAINED
from adapters.datasets import neutral_talk, ravdess
from adapters.errors import AdapterError
from adapters.features import acoustic, visual
from adapters.features.acoustic import SpeechEncoder
from adapters.readout.voice import VoiceClassifier
from adapters.training.feature_cache import VoiceRows, voice_rows
from adapters.training.recipe import RECIPES, Recipe, read_recipe
from adapters.training.runs import Seed
from adapters.training.sources import sources_of
from adapters.training.voices import TURNS_BEFORE, fit_voice, normalised

TURNS_KNOWN = {"uar_first_turn": TURNS_BEFORE[0], "uar_speaker_known": TURNS_BEFORE[-1]}
SHARED = ("neutral", "sadness", "joy", "anger")


def leave_out(recipe: Recipe, rows: VoiceRows, corpus: str, seed: int) -> dict[str, float]:
    """Unweighted average recall on one corpus by a classifier trained on the others, by known turns of the speaker."""
    shared = [rows.label_set.labels.index(name) for name in SHARED]
    usable = np.isin(rows.labels.numpy(), shared) & (rows.corpora != neutral_talk.CORPUS.name)
    torch.manual_seed(seed)
    spec = recipe.voice_spec
    classifier = VoiceClassifier(recipe.voice_hidden, recipe.members, len(rows.label_set), spec.dropout)
    fit_voice(classifier, rows.where(usable & (rows.corpora != corpus)), spec, seed)
    evaluated = rows.where(usable & (rows.corpora == corpus))
    return _recalls(classifier, evaluated, shared, seed)


def held_out_actors(name: str, rows: VoiceRows, seed: int) -> dict[str, float]:
    """Unweighted average recall of a checkpoint's voice classifier, 7 classes, by known turns of the speaker."""
    head, _ = store.load(PRETRAINED / name, acoustic.SPEC, visual.SPEC)
    evaluated = rows.where(rows.held_out.numpy() & (rows.corpora == ravdess.CORPUS.name))
    if head.voice is None:
        raise AdapterError(f"the adapter {name} reads no voices: there is nothing to evaluate")
    return _recalls(head.voice, evaluated, list(range(len(rows.label_set))), seed)


def _recalls(classifier: VoiceClassifier, evaluated: VoiceRows, classes: list[int], seed: int) -> dict[str, float]:
    recalls: dict[str, float] = {}
    for name, turns in TURNS_KNOWN.items():
        with torch.no_grad():
            scores = classifier(normalised(classifier, evaluated, turns, seed))[:, classes]
        guesses = np.array(classes)[scores.argmax(1).numpy()]
        recalls[name] = float(recall_score(evaluated.labels, guesses, average="macro"))
    return recalls


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    config: Annotated[Path, typer.Option(help="The recipe.")] = RECIPES / "default.toml",
    seed: Seed = 0,
) -> None:
    """Leave each corpus out in turn."""
    recipe = read_recipe(config)
    sources = sources_of(recipe)
    rows = voice_rows(sources.voices, sources.labels, data, SpeechEncoder)
    corpora = sorted(set(rows.corpora.tolist()) - {neutral_talk.CORPUS.name})
    recalls = {corpus: leave_out(recipe, rows, corpus, seed) for corpus in corpora}
    means = {known: float(np.mean([by[known] for by in recalls.values()])) for known in TURNS_KNOWN}
    actors = held_out_actors("default", rows, seed)
    result = {"seed": seed, "corpus_left_out": recalls, "mean": means, "ravdess_held_out_actors_7_classes": actors}
    typer.echo(json.dumps(result, indent=2))
