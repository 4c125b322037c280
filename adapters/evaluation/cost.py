"""What an epoch costs, the published way and ours, on the same turns in the same run.

The published way runs each turn's whole text through all of the LLM, forward and backward. Ours reads each dialogue
once without gradients, and runs the suffixes of its turns through the layers that are read. A few dialogues are timed,
and the time of all of them is worked out from the number of turns. One JSON on stdout.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from adapters.contract import MELD_LABELS
from adapters.datasets import meld
from adapters.datasets.records import Dialogues
from adapters.errors import AdapterError
from adapters.llm.backbone import Backbone
from adapters.llm.presets import backbone_source
from adapters.llm.prompt import Prompter, PromptSpec
from adapters.published.data import turns_of
from adapters.published.fit import epoch_of
from adapters.published.inputs import FRAMES
from adapters.published.model import fresh, load_llm, shape_for
from adapters.published.sets import set_of
from adapters.readout.pseudo import Nonverbal, PseudoShape, PseudoTokens
from adapters.training.fit_pseudo import fit_pseudo, read_dialogues
from adapters.training.recipe import RECIPES, PseudoSpec, Recipe, read_recipe


def whole_sequences(corpus: Dialogues, recipe: Recipe, batch: int) -> Callable[[], None]:
    """One epoch of the published way."""
    llm, dataset = load_llm(recipe.backbone, recipe.dtype), set_of("meld")
    model = llm.beside(fresh(shape_for("meld-2048", llm, (FRAMES, FRAMES)), seed=0), dataset.task)
    optimiser = torch.optim.AdamW(model.adapter.parameters(), lr=5e-4)
    turns = turns_of(corpus)

    def epoch() -> None:
        for _ in epoch_of(model, dataset, turns, optimiser, batch):
            pass

    return epoch


def suffixes(corpus: Dialogues, recipe: Recipe, spec: PseudoSpec) -> Callable[[], None]:
    """One epoch of ours, the reading of the dialogues included as if it were done in each."""
    source = backbone_source(recipe.backbone)
    backbone = Backbone.load(source, recipe.layers, dtype=recipe.dtype)
    prompter = Prompter.load(source, PromptSpec(recipe.intro, recipe.max_tokens))
    question = prompter.ids(spec.question)
    pseudo = PseudoTokens(backbone.width, PseudoShape(spec.tokens, len(question)), len(MELD_LABELS))
    pseudo.initialise(backbone.embed(question))
    labels = torch.tensor(corpus.labels)
    silent = Nonverbal.none(len(labels), len(MELD_LABELS))

    def epoch() -> None:
        fit_pseudo(
            pseudo,
            backbone,
            read_dialogues(corpus, backbone, prompter),
            labels,
            len(MELD_LABELS),
            lambda _: silent,
            spec,
        )

    return epoch


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    config: Annotated[Path, typer.Option(help="The recipe.")] = RECIPES / "mse.toml",
    dialogues: Annotated[int, typer.Option(help="How many are timed.", min=1)] = 8,
    batch: Annotated[int, typer.Option(help="Turns per step of the published way.", min=1)] = 16,
) -> None:
    """Time both ways."""
    recipe = read_recipe(config)
    if recipe.pseudo is None:
        raise AdapterError(f"{config} trains no pseudo tokens, there is nothing to compare")
    spec = replace(recipe.pseudo, epochs=1)
    corpus = meld.CORPUS.read(data, "train")
    some = Dialogues(corpus.dialogues[:dialogues])
    ways = {"whole_sequences": whole_sequences(some, recipe, batch), "suffixes": suffixes(some, recipe, spec)}
    minutes: dict[str, float] = {}
    for name, epoch in ways.items():
        begun = time.monotonic()
        epoch()
        minutes[name] = (time.monotonic() - begun) / 60 * len(corpus.labels) / len(some.labels)
    ratio = minutes["whole_sequences"] / minutes["suffixes"]
    typer.echo(json.dumps({"turns": len(some.labels), "minutes_per_epoch": minutes, "times_faster": ratio}, indent=2))
