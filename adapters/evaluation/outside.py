"""Words from elsewhere: an adapter on corpora that are no sitcom, beside a reader that learned each one alone.

Words only, as live. The specialist is the recipe's classifier on the LLM as it is, fitted to the corpus's own training
split, which tells how much of each corpus can be told at all. One Markdown table on stdout.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from jaxtyping import Float, Int
from torch import Tensor

from adapters.checkpoint import store
from adapters.checkpoint.backbone import llm_of
from adapters.checkpoint.hub import locate
from adapters.contract import MELD_LABELS, LabelSet
from adapters.datasets import plain_sentences
from adapters.datasets.corpus import Corpus, find_kind
from adapters.datasets.records import Dialogues
from adapters.errors import AdapterError
from adapters.features import acoustic, visual
from adapters.llm.backbone import Backbone
from adapters.llm.presets import backbone_source
from adapters.llm.prompt import Prompter, PromptSpec
from adapters.readout.ensemble import Ensemble, mean_log_probs
from adapters.readout.fusion import ModalityScores
from adapters.readout.head import EmotionHead
from adapters.training.fit import fit_ensemble
from adapters.training.metrics import Metrics, compute_metrics
from adapters.training.packs import read_turns, some_of, training_set
from adapters.training.recipe import RECIPES, Recipe, read_recipe

CORPORA = ("meld", "goemotions", "xed", "dailydialog", "emocontext", "plain-sentences")


def turns_of(
    found: Dialogues, names: Sequence[str], labels: LabelSet, backbone: Backbone, prompter: Prompter
) -> tuple[Float[Tensor, "turns dim"], Int[Tensor, " turns"]]:
    """What a words' classifier reads of each labelled turn, and the turns' labels.

    Args:
        found: The dialogues.
        names: Of their class ids.
        labels: Among which the names are.
        backbone: The LLM, with low-rank adapters on if there are any.
        prompter: Writes dialogues down for it.
    """
    every = training_set(found, [labels.labels.index(name) for name in names], prompter)
    return read_turns(every, backbone, prompter), every.labels


@torch.no_grad()
def by_words(head: EmotionHead, states: Float[Tensor, "turns dim"]) -> Float[np.ndarray, "turns classes"]:
    """Calibrated probabilities by words alone."""
    words = mean_log_probs(head.words(states))
    yes, no = (torch.full((len(words),), there) for there in (True, False))
    nothing = torch.zeros_like(words)
    fused: Tensor = head.fusion(ModalityScores(words, yes, nothing, no, nothing, no))
    return np.asarray(fused.exp().double().numpy())


def specialist(
    corpus: Corpus[Dialogues],
    data: Path,
    recipe: Recipe,
    backbone: Backbone,
    prompter: Prompter,
    held: Float[Tensor, "turns dim"],
    most: int,
) -> Float[np.ndarray, "turns classes"]:
    """What a reader that learned this corpus alone says of held-out turns.

    Args:
        corpus: The corpus.
        data: Folder with one folder per data set.
        recipe: How its classifier is fitted.
        backbone: The LLM as it is.
        prompter: Writes dialogues down for it.
        held: What it reads of the held-out turns.
        most: Dialogues whose last turn has one label, at most.
    """
    torch.manual_seed(0)
    found = some_of(corpus.read(data, next(iter(corpus.splits))), most)
    states, labels = turns_of(found, corpus.names(), MELD_LABELS, backbone, prompter)
    classifier = Ensemble(states.shape[1], recipe.words_hidden, recipe.members, len(MELD_LABELS), recipe.words.dropout)
    fit_ensemble(classifier, states, labels, torch.ones(len(labels)), recipe.words)
    with torch.no_grad():
        return np.asarray(mean_log_probs(classifier(held)).exp().double().numpy())


def row(name: str, metrics: Sequence[Metrics]) -> str:
    """A row of the table."""
    cells = [f"{one[key]:.3f}" for one in metrics for key in ("weighted_f1", "macro_f1", "ece")]
    return f"| {name} | {' | '.join(cells)} |"


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    checkpoint: Annotated[list[str] | None, typer.Option(help="Adapters, each by its folder or name.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Corpora of dialogues; several may be given.")] = None,
    specialists: Annotated[
        int, typer.Option(help="Also fit a reader to each corpus alone, so many dialogues of a label; 0: none.", min=0)
    ] = 0,
    dialogues: Annotated[int, typer.Option(help="Take so many of each corpus only; 0 takes all.", min=0)] = 0,
    config: Annotated[Path, typer.Option(help="The recipe of those readers.")] = RECIPES / "default.toml",
) -> None:
    """Evaluate adapters on words from elsewhere."""
    loaded = [store.load(locate(name), acoustic.SPEC, visual.SPEC) for name in checkpoint or ["default"]]
    if any(card.labels != MELD_LABELS or head.pseudo is not None for head, card in loaded):
        raise AdapterError(f"an adapter of the labels {', '.join(MELD_LABELS.labels)} without pseudo tokens is wanted")
    readers = [(head, card, *llm_of(head, card, backbone_source(card.backbone.name))) for head, card in loaded]
    recipe = read_recipe(config)
    plain: tuple[Backbone, Prompter] | None = None
    if specialists:
        source = backbone_source(recipe.backbone)
        prompt = PromptSpec(recipe.intro, recipe.max_tokens)
        plain = Backbone.load(source, recipe.layers), Prompter.load(source, prompt)
    titles = [card.adapter_id for _, card in loaded] + (["one that learned it alone"] if specialists else [])
    typer.echo(f"| dev: weighted F1, macro F1, ECE | {' | '.join(f'{title} | | ' for title in titles)}|")
    typer.echo(f"|---|{'---|' * 3 * len(titles)}")
    for name in dataset or CORPORA:
        corpus = find_kind(name, Dialogues)
        splits = list(corpus.splits)
        found = corpus.read(data, splits[min(1, len(splits) - 1)])
        found = replace(found, dialogues=found.dialogues[: dialogues or None])
        judged = []
        for head, _, backbone, own in readers:
            states, labels = turns_of(found, corpus.names(), MELD_LABELS, backbone, own)
            judged.append(by_words(head, states))
        if plain is not None and len(splits) > 1:
            held, _ = turns_of(found, corpus.names(), MELD_LABELS, *plain)
            judged.append(specialist(corpus, data, recipe, *plain, held, specialists))
        metrics = [compute_metrics(one, labels.numpy(), MELD_LABELS.labels) for one in judged]
        typer.echo(row(name, metrics) + " | | |" * (len(titles) - len(metrics)))  # nobody can learn one split alone
        if name == plain_sentences.CORPUS.name:
            _by_register(judged, labels.numpy(), titles)


def _by_register(judged: Sequence[np.ndarray], labels: np.ndarray, titles: Sequence[str]) -> None:
    """Print how many plain sentences of each register are told right."""
    registers = [register for register, _, _ in plain_sentences.rows()]
    for title, probabilities in zip(titles, judged, strict=False):
        right = probabilities.argmax(1) == labels
        told = Counter(register for register, good in zip(registers, right, strict=True) if good)
        every = Counter(registers)
        parts = ", ".join(f"{name} {told[name]} of {count}" for name, count in every.items())
        typer.echo(f"plain sentences, {title}: {right.mean():.3f} right; {parts}", err=True)
