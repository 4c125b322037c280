"""``python -m adapters dimensions``: an adapter for valence and arousal, or other scores, beside one for emotions.

It reads the states that the emotion adapter reads, of the same prompt, so that live the LLM reads a turn once for both.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import mse_loss

from adapters.checkpoint import dimensions as checkpoint
from adapters.checkpoint import store
from adapters.checkpoint.backbone import llm_of
from adapters.checkpoint.dimensions import COVERAGE, Dimension, DimensionCard
from adapters.checkpoint.hub import locate
from adapters.contract import Utterance
from adapters.datasets.corpus import find_kind
from adapters.datasets.records import Dialogues, Line, Ratings
from adapters.errors import AdapterError
from adapters.features import acoustic, visual
from adapters.llm.backbone import Backbone
from adapters.llm.presets import backbone_source
from adapters.llm.prompt import Prompter
from adapters.readout.dimensions import DimensionHead, DimensionShape
from adapters.training.fit import one_cycle
from adapters.training.packs import read_turns, training_set
from adapters.training.progress import progress
from adapters.training.runs import Seed

ENDS = {"valence": ("unpleasant", "pleasant"), "arousal": ("calm", "excited")}
LIMITS = (
    "Learned from written sentences on their own, rated by readers; it hears neither voice nor face, and knows no "
    "dialogue. A number describes how a sentence reads, not what its speaker feels."
)


@dataclass(frozen=True, slots=True)
class Fit:
    """How the networks are fitted."""

    epochs: int = 12
    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 5e-2
    dropout: tuple[float, float] = (0.3, 0.3)
    members: int = 5
    hidden: int = 32


def fit(
    head: DimensionHead, states: Float[Tensor, "n read parts d"], values: Float[Tensor, "n dimensions"], how: Fit
) -> list[float]:
    """Fit all members at once by squared error; returns the mean loss of each epoch."""
    ensemble = head.ensemble
    ensemble.standardise.measure(states.flatten(1))
    optimiser = torch.optim.AdamW(ensemble.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay)
    steps = how.epochs * -(-len(values) // how.batch)
    schedule = one_cycle(optimiser, how.learning_rate, steps)
    losses: list[float] = []
    for _ in progress(range(how.epochs), "fitting"):
        head.train()
        total = 0.0
        for rows in torch.randperm(len(values)).split(how.batch):
            told = ensemble(states[rows].flatten(1))
            loss = mse_loss(told, values[rows][:, None].expand_as(told))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(rows)
        losses.append(total / len(values))
    head.train(False)
    return losses


def within(errors: Float[np.ndarray, "n dimensions"]) -> Float[np.ndarray, " dimensions"]:
    """The distance that `COVERAGE` of held-out turns stay within, with the finite-sample correction (n + 1)."""
    rank = min(len(errors), int(np.ceil(COVERAGE * (len(errors) + 1))))
    distances: Float[np.ndarray, " dimensions"] = np.sort(np.abs(errors), axis=0)[rank - 1]
    return distances


def measured(
    told: Float[np.ndarray, "n dimensions"], true: Float[np.ndarray, "n dimensions"]
) -> list[dict[str, float]]:
    """Mean absolute error, Pearson's correlation, and the error of always telling the mean, of each dimension."""
    return [
        {
            "mae": float(np.abs(a - b).mean()),
            "mae_of_the_mean": float(np.abs(b - b.mean()).mean()),
            "correlation": float(np.corrcoef(a, b)[0, 1]) if a.std() and b.std() else 0.0,
        }
        for a, b in zip(told.T, true.T, strict=True)
    ]


def read_states(found: Ratings, backbone: Backbone, prompter: Prompter) -> Float[Tensor, "n read parts d"]:
    """The LLM's states of each sentence, said by one speaker at the start of a dialogue."""
    said = Dialogues(tuple((Line(Utterance("Speaker 1", text), 0),) for text in found.texts))
    states = read_turns(training_set(said, [0], prompter), backbone, prompter)
    return torch.as_tensor(states.unflatten(1, (len(backbone.read), -1, backbone.width)))


def train(data: Path, out: Path, beside: str, seed: int, how: Fit, dataset: str = "emobank") -> dict[str, Any]:
    """Train, and write a checkpoint.

    Args:
        data: Folder with one folder per data set.
        out: Where the checkpoint goes.
        beside: The emotion adapter whose states are read.
        seed: Of initial weights and order.
        how: How to fit.
        dataset: The sentences and their ratings, its first two splits.

    Returns:
        What goes into the card's ``about``.

    Raises:
        AdapterError: Data or models are missing, or ``out`` is no folder.
    """
    if out.exists() and not out.is_dir():
        raise AdapterError(f"{out} is a file: give a folder")
    begun = time.monotonic()
    corpus = find_kind(dataset, Ratings)
    names = list(corpus.splits)[:2]
    fitting, dev = (corpus.read(data, split) for split in names)
    if fitting.dimensions != dev.dimensions or min(len(fitting), len(dev)) < 1:
        raise AdapterError(f"{dataset} needs rows in {' and '.join(names)}, rated in the same dimensions")
    emotions, card = store.load(locate(beside), acoustic.SPEC, visual.SPEC)
    backbone, prompter = llm_of(emotions, card, backbone_source(card.backbone.name))
    before = backbone.weights_digest
    states, held = (read_states(one, backbone, prompter) for one in (fitting, dev))
    torch.manual_seed(seed)
    shape = DimensionShape(card.shape.layers, card.shape.width, len(fitting.dimensions), how.members, how.hidden)
    head = DimensionHead(shape, how.dropout)
    losses = fit(head, states, torch.from_numpy(fitting.values).float(), how)
    head = head.half().float()  # as it is saved
    with torch.inference_mode():
        told = head(held).double().numpy()
    if backbone.weights_digest != before:
        raise AdapterError("the backbone's weights changed in training; it must stay frozen")
    distances = within(told - dev.values)
    about = {
        "data": {f"{corpus.title}: {names[0]} (fitting words), {names[-1]} (distances)": corpus.licence},
        "limits": LIMITS,
        "seed": seed,
        "scale": fitting.scale,
        "coverage": COVERAGE,
        "dev": dict(zip(dev.dimensions, measured(told, dev.values), strict=True)),
        "losses": losses,
        "parameters": sum(value.numel() for value in head.parameters()),
        "seconds": round(time.monotonic() - begun),
    }
    dimensions = tuple(
        Dimension(name, *ENDS.get(name, ("lowest", "highest")), float(distance))
        for name, distance in zip(dev.dimensions, distances, strict=True)
    )
    made = DimensionCard(
        "-".join(dev.dimensions)[:100],
        dimensions,
        card.backbone,
        card.prompt,
        shape.layers,
        shape.width,
        shape.members,
        shape.hidden,
        about=about,
    )
    checkpoint.save(out, head, made)
    return about


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    out: Annotated[Path, typer.Option(help="Where the checkpoint goes.")],
    beside: Annotated[str, typer.Option(help="The emotion adapter whose states are read.")] = "default",
    dataset: Annotated[str, typer.Option(help="Rated sentences: emobank, or a data set of yours.")] = "emobank",
    seed: Seed = 0,
) -> None:
    """Train an adapter for valence and arousal, or other scores, and print its metrics as JSON."""
    typer.echo(json.dumps(train(data, out, beside, seed, Fit(), dataset), indent=2, ensure_ascii=False))
