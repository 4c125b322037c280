"""``python -m adapters.cost``: what an epoch costs, the published way and ours, on the same turns in the same run.

The published way runs each turn's whole text through all of the LLM, forward and backward. Ours reads each dialogue
once without gradients, and runs the suffixes of its turns through the layers that are read. A few dialogues are timed,
and the time of all of them is worked out from the number of turns. One JSON on stdout.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from transformers import AutoModelForCausalLM, AutoTokenizer

from adapters.backbone import Backbone, choose_device, choose_dtype
from adapters.cache import backbone_source
from adapters.datasets import meld
from adapters.datasets.records import Dialogues, Line
from adapters.errors import AdapterError
from adapters.fit_pseudo import fit_pseudo, read
from adapters.mse.adapter import MseAdapter, MseShape
from adapters.mse.encoders import SequenceShape
from adapters.mse.llm import MseBatch, MseLlm
from adapters.mse.tasks import TASKS
from adapters.prompt import Prompter, PromptSpec, anonymous
from adapters.readout.pseudo import PseudoShape, PseudoTokens
from adapters.readout.voice_summary import SUMMARY_DIM
from adapters.recipe import RECIPES, PseudoSpec, Recipe, read_recipe

_PAST = 5  # turns before the judged one that the published way is given, too
_FRAMES = 64  # width of its voice and face frames


def text_of(dialogue: tuple[Line, ...], turn: int) -> str:
    """A turn with those before it, as one text."""
    said = anonymous([line.utterance for line in dialogue[: turn + 1]])
    return "\n".join(f"{one.speaker}: {one.text}" for one in said[-_PAST - 1 :])


def whole_sequences(corpus: Dialogues, recipe: Recipe, batch: int) -> Callable[[], None]:
    """One epoch of the published way."""
    source = backbone_source(recipe.backbone)
    dtype = choose_dtype(recipe.dtype, choose_device("auto"))
    llm = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, use_safetensors=True)
    frames = SequenceShape(_FRAMES, 32)
    adapter = MseAdapter(MseShape(llm.config.hidden_size, 2, frames, frames))
    model = MseLlm(llm, AutoTokenizer.from_pretrained(source), adapter, TASKS["meld"])
    optimiser = torch.optim.AdamW(adapter.parameters(), lr=5e-4)
    turns = [
        (text_of(dialogue, turn), line.label)
        for dialogue in corpus.dialogues
        for turn, line in enumerate(dialogue)
        if line.label is not None
    ]

    def epoch() -> None:
        for start in range(0, len(turns), batch):
            some = turns[start : start + batch]
            nothing = torch.zeros(len(some), 1, _FRAMES), torch.ones(len(some), dtype=torch.long)
            loss = model.loss(MseBatch([text for text, _ in some], nothing, nothing), [label for _, label in some])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return epoch


def suffixes(corpus: Dialogues, recipe: Recipe, spec: PseudoSpec) -> Callable[[], None]:
    """One epoch of ours, the reading of the dialogues included as if it were done in each."""
    source = backbone_source(recipe.backbone)
    backbone = Backbone.load(source, recipe.layers, dtype=recipe.dtype)
    prompter = Prompter.load(source, PromptSpec(recipe.intro, recipe.max_tokens))
    question = prompter.ids(spec.question)
    pseudo = PseudoTokens(backbone.width, PseudoShape(spec.tokens, len(question)))
    pseudo.ask(backbone.embed(question))
    labels = torch.tensor(corpus.labels)
    silent = torch.zeros(len(labels), SUMMARY_DIM), torch.zeros(len(labels), dtype=torch.bool)

    def epoch() -> None:
        fit_pseudo(pseudo, backbone, read(corpus, backbone, prompter), labels, lambda _: silent, spec)

    return epoch


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    config: Annotated[Path, typer.Option(help="The recipe.")] = RECIPES / "pseudo.toml",
    dialogues: Annotated[int, typer.Option(help="How many are timed.", min=1)] = 8,
    batch: Annotated[int, typer.Option(help="Turns per step of the published way.", min=1)] = 16,
) -> None:
    """Time both ways."""
    try:
        recipe = read_recipe(config)
        if recipe.pseudo is None:
            raise AdapterError(f"{config} trains no pseudo tokens, there is nothing to compare")
        spec = PseudoSpec(**{**{name: getattr(recipe.pseudo, name) for name in PseudoSpec.__slots__}, "epochs": 1})
        corpus = meld.load(data / "meld", "train")
        some = Dialogues(corpus.dialogues[:dialogues])
        ways = {"whole_sequences": whole_sequences(some, recipe, batch), "suffixes": suffixes(some, recipe, spec)}
    except AdapterError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    minutes: dict[str, float] = {}
    for name, epoch in ways.items():
        begun = time.monotonic()
        epoch()
        minutes[name] = (time.monotonic() - begun) / 60 * len(corpus.labels) / len(some.labels)
    ratio = minutes["whole_sequences"] / minutes["suffixes"]
    typer.echo(json.dumps({"turns": len(some.labels), "minutes_per_epoch": minutes, "times_faster": ratio}, indent=2))


if __name__ == "__main__":
    typer.run(main)
