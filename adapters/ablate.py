"""``python -m adapters.ablate``: what each part of the words' reader adds, as a Markdown table.

Each variant takes one thing away from the recipe and is fitted anew with several seeds on the states that training has
read; figures are on MELD dev, uncalibrated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from jaxtyping import Float
from torch import Tensor

from adapters.backbone import Backbone
from adapters.cache import backbone_source
from adapters.contract import MELD_LABELS
from adapters.corpora import WordRows, word_rows
from adapters.datasets import meld
from adapters.errors import AdapterError
from adapters.fit import fit_members
from adapters.prompt import Prompter, PromptSpec
from adapters.readout.members import Members, average
from adapters.recipe import RECIPES, Recipe, read_recipe
from adapters.scores import figures

Pick = Callable[[Float[Tensor, "b read 2 d"]], Tensor]


@dataclass(frozen=True, slots=True)
class Variant:
    """One row of the table: which states are seen, and the recipe that fits them."""

    name: str
    pick: Pick
    recipe: Recipe


def variants(recipe: Recipe) -> list[Variant]:
    """The recipe, and each thing taken away."""
    middle = len(recipe.layers) // 2

    def everything(states: Tensor) -> Tensor:
        return states

    return [
        Variant("the recipe", everything, recipe),
        Variant("mean of the words only", lambda states: states[:, :, :1], recipe),
        Variant("last word only", lambda states: states[:, :, 1:], recipe),
        Variant(f"layer {recipe.layers[middle]} only", lambda states: states[:, middle : middle + 1], recipe),
        Variant("one member", everything, replace(recipe, members=1)),
        Variant("no logit adjustment", everything, replace(recipe, words=replace(recipe.words, adjust=0.0))),
    ]


def judge(variant: Variant, fitting: WordRows, judged: WordRows, seed: int) -> tuple[float, float]:
    """Weighted and macro F1 of one variant and seed."""
    torch.manual_seed(seed)
    recipe = variant.recipe
    rows, heard = (variant.pick(split.states).flatten(1) for split in (fitting, judged))
    members = Members(rows.shape[1], recipe.words_hidden, recipe.members, len(MELD_LABELS), recipe.words.dropout)
    fit_members(members, rows, fitting.labels, torch.ones(len(rows)), recipe.words)
    with torch.no_grad():
        probabilities = average(members(heard)).exp().numpy()
    result = figures(probabilities, judged.labels.numpy(), MELD_LABELS.labels)
    return result["weighted_f1"], result["macro_f1"]


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    config: Annotated[Path, typer.Option(help="The recipe.")] = RECIPES / "default.toml",
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 2,
) -> None:
    """Print the table."""
    try:
        recipe = read_recipe(config)
        source = backbone_source(recipe.backbone)
        backbone = Backbone.load(source, recipe.layers, dtype=recipe.dtype)
        prompt = PromptSpec(recipe.intro, recipe.max_tokens)
        prompter = Prompter.load(source, prompt)
        fitting, judged = (
            word_rows(meld.load(data / "meld", split), backbone, prompter, prompt) for split in ("train", "dev")
        )
    except AdapterError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo("| variant | weighted F1 | macro F1 |\n|---|---|---|")
    for variant in variants(recipe):
        results = np.array([judge(variant, fitting, judged, seed) for seed in range(seeds)])
        cells = [f"{mean:.3f} ± {spread:.3f}" for mean, spread in zip(results.mean(0), results.std(0), strict=True)]
        typer.echo(f"| {variant.name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    typer.run(main)
