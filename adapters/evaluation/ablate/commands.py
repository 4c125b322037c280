"""The commands: what each part adds, as a Markdown table, mean ± standard deviation.

What each modality adds is measured by `adapters.evaluation.modalities`, how the voice carries over between corpora by
`adapters.evaluation.cross_corpus`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from adapters.contract import MELD_LABELS, LabelSet
from adapters.datasets.records import Dialogues
from adapters.errors import AdapterError
from adapters.evaluation.ablate import pseudo, table, voice, words
from adapters.features.acoustic import SpeechEncoder
from adapters.features.visual import FaceEncoder
from adapters.llm.backbone import Backbone
from adapters.llm.presets import backbone_source
from adapters.llm.prompt import Prompter, PromptSpec
from adapters.readout.voice import VoiceClassifier
from adapters.training.feature_cache import word_rows
from adapters.training.fit_pseudo import read_dialogues
from adapters.training.modality_scores import Split, cross_fitted, voice_pool
from adapters.training.recipe import RECIPES, Recipe, read_recipe
from adapters.training.sources import Encoders, read_voices, sources_of
from adapters.training.voices import fit_voice

Data = Annotated[Path, typer.Option(help="Folder with one folder per data set.")]
Config = Annotated[Path, typer.Option(help="The recipe.")]
Seeds = Annotated[int, typer.Option(help="How many seeds.", min=1)]
Dialogs = Annotated[int, typer.Option(help="Train on so many dialogues only; 0 takes all.", min=0)]
DEFAULT, PSEUDO = RECIPES / "default.toml", RECIPES / "mse.toml"  # the second learns from written words only


def _splits(recipe: Recipe, data: Path, train: int, dev: int = 0) -> tuple[LabelSet, list[Dialogues]]:
    """The labels, and the first two splits of the recipe's dialogues, so many of each (0 takes all)."""
    sources = sources_of(recipe)
    read = [sources.dialogues.read(data, split) for split in list(sources.dialogues.splits)[:2]]
    some = [replace(one, dialogues=one.dialogues[: most or None]) for one, most in zip(read, (train, dev), strict=True)]
    return sources.labels, some


def _llm(recipe: Recipe) -> tuple[Backbone, Prompter, PromptSpec]:
    source, prompt = backbone_source(recipe.backbone), PromptSpec(recipe.intro, recipe.max_tokens)
    return Backbone.load(source, recipe.layers, dtype=recipe.dtype), Prompter.load(source, prompt), prompt


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


def ablate_words(data: Data, config: Config = PSEUDO, seeds: Seeds = 2, dialogues: Dialogs = 0) -> None:
    """The classifier of written words: layers, pooling, past turns, ensemble."""
    recipe = read_recipe(config)
    if recipe.asr_words:
        raise AdapterError(f"{config} learns from ASR words, too, and only written ones are read: leave out asr_words")
    backbone, prompter, prompt = _llm(recipe)
    labels, splits = _splits(recipe, data, dialogues)
    fitting, dev = (words.contexts(split, labels, backbone, prompter, prompt) for split in splits)
    variants = words.variants(recipe)
    _print(table.markdown(words.COLUMNS, variants, lambda one, seed: words.evaluate(one, fitting, dev, seed), seeds))


def ablate_voice(data: Data, config: Config = DEFAULT, seeds: Seeds = 2) -> None:
    """The voice classifier: pooling, prosody, speaker normalisation."""
    recipe = read_recipe(config)
    clips, frames = voice.load(data, MELD_LABELS, SpeechEncoder)

    def evaluate(one: voice.Variant, seed: int) -> tuple[float, float]:
        return voice.evaluate(one, recipe, clips, frames, seed)

    _print(table.markdown(voice.COLUMNS, voice.VARIANTS, evaluate, seeds))


def ablate_pseudo(
    data: Data,
    config: Config = PSEUDO,
    seeds: Seeds = 2,
    dialogues: Dialogs = 120,
    dev_dialogues: Annotated[int, typer.Option(help="Evaluate on so many of dev only; 0 takes all.", min=0)] = 60,
    epochs: Annotated[int, typer.Option(help="Passes over the dialogues.", min=1)] = 1,
    batch: Annotated[int, typer.Option(help="Parts of dialogues per step.", min=1)] = 2,
    only: Annotated[str, typer.Option(help="Rows whose name has this in it, such as leaked.")] = "",
) -> None:
    """The pseudo tokens: mixer, fusion, rank, the absent voice, the question, the states, leaked labels."""
    recipe = read_recipe(config)
    if recipe.pseudo is None:
        raise AdapterError(f"{config} has no pseudo tokens to take away from: give a recipe with [pseudo]")
    backbone, prompter, prompt = _llm(recipe)

    labels, splits = _splits(recipe, data, dialogues, dev_dialogues)
    fitting, dev = (
        Split(word_rows(split, labels, backbone, prompter, prompt), read_dialogues(split, backbone, prompter))
        for split in splits
    )

    voices, held = read_voices(sources_of(recipe), data, Encoders(SpeechEncoder, FaceEncoder))
    if voices is None or held is None:
        raise AdapterError(f"{config} reads no voices")
    classifier = VoiceClassifier(recipe.voice_hidden, recipe.members, len(labels), recipe.voice_spec.dropout)
    heard = cross_fitted(classifier, voices, recipe.voice_spec, 0)
    fit_voice(classifier, voices, recipe.voice_spec, 0)
    bench = pseudo.Bench(
        recipe=recipe,
        spec=replace(recipe.pseudo, epochs=epochs, batch=batch),
        backbone=backbone,
        question=backbone.embed(prompter.ids(recipe.pseudo.question)),
        fitting=fitting,
        dev=dev,
        heard=heard,
        held_out=voice_pool(classifier, held, 0),
    )
    rows = [one for one in pseudo.VARIANTS if only in one.name]
    _print(table.markdown(pseudo.COLUMNS, rows, lambda one, seed: pseudo.evaluate(one, bench, seed), seeds))
