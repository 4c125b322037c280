"""What voice and face add to the words, and what they spoil where they contradict.

Adapters are evaluated on dev with simulated voices and faces (see `adapters.training.simulate`), each with several
draws. Late fusion is fitted anew on one half of dev and evaluated on the other, so that no turn is evaluated by weights
that were fitted to it. A Markdown table on stdout; the models' outputs come from the cache, so it takes a minute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from jaxtyping import Float, Int
from torch import Tensor

from adapters.checkpoint import store
from adapters.checkpoint.backbone import llm_of
from adapters.checkpoint.hub import locate
from adapters.errors import AdapterError
from adapters.features import acoustic, visual
from adapters.features.acoustic import SpeechEncoder
from adapters.features.visual import FaceEncoder
from adapters.llm.backbone import Backbone
from adapters.llm.presets import backbone_source
from adapters.readout.fusion import LateFusion
from adapters.readout.head import EmotionHead
from adapters.training.faces import FaceTurns
from adapters.training.feature_cache import VoiceRows, word_rows
from adapters.training.fit_pseudo import read_dialogues
from adapters.training.fusion import CONFLICTS, DRAWS, fit_fusion
from adapters.training.metrics import compute_metrics
from adapters.training.modality_scores import Split, TurnScores, face_pool, simulate_scores, voice_pool
from adapters.training.recipe import RECIPES, read_recipe
from adapters.training.simulate import CONFLICT, SHARES
from adapters.training.sources import Encoders, Sources, read_faces, read_voices, sources_of

_METRICS: tuple[Literal["weighted_f1", "macro_f1", "accuracy", "ece"], ...] = (
    *("weighted_f1", "macro_f1", "accuracy", "ece"),
)
_TURNS_PER_LABEL = 1500  # with a face, of which a fifth is held out
_APART = 1000  # seeds from those of training


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table.

    Attributes:
        name: What is there, and what of it contradicts.
        present: Whether words, voice and face are.
        conflicting: Whether every voice, and every face, shows any emotion.
    """

    name: str
    present: tuple[bool, bool, bool]
    conflicting: tuple[bool, bool] = (False, False)


CASES = (
    Case("T", (True, False, False)),
    Case("A", (False, True, False)),
    Case("V", (False, False, True)),
    Case("T+A", (True, True, False)),
    Case("T+V", (True, False, True)),
    Case("A+V", (False, True, True)),
    Case("T+A+V", (True, True, True)),
    Case("T+A, every voice in conflict", (True, True, False), (True, False)),
    Case("T+V, every face in conflict", (True, False, True), (False, True)),
    Case("T+A+V, every voice in conflict", (True, True, True), (True, False)),
    Case("T+A+V, every face in conflict", (True, True, True), (False, True)),
    Case("T+A+V, both in conflict", (True, True, True), (True, True)),
)
Drawn = Mapping[tuple[bool, bool], TurnScores]
"""Draws to evaluate, by `Case.conflicting`."""


def table_rows(
    drawn: list[TurnScores],
    conflicting: list[TurnScores],
    evaluated: Drawn,
    labels: Int[Tensor, " turns"],
    names: tuple[str, ...],
) -> Iterator[tuple[str, Float[np.ndarray, " metrics"]]]:
    """Metrics of each case, each half of the turns fused by weights that were fitted on the other.

    Args:
        drawn: Draws to fit the weights to.
        conflicting: Further ones, in which voices and faces show any emotion.
        evaluated: Draws to evaluate.
        labels: Class ids of the turns.
        names: The classes.
    """
    middle = len(labels) // 2
    halves = slice(0, middle), slice(middle, len(labels))
    fusions = [LateFusion(len(names)) for _ in halves]
    for fusion, rows in zip(fusions, halves, strict=True):
        calm, others = ([scores.where(rows) for scores in draws] for draws in (drawn, conflicting))
        fit_fusion(fusion, calm, labels[rows], others)
    for case in CASES:
        scores = evaluated[case.conflicting]
        if (case.present[1] and scores.voice is None) or (case.present[2] and scores.face is None):
            continue
        fused = []
        for fusion, rows in zip(fusions, reversed(halves), strict=True):
            some = scores.where(rows)
            present = (torch.full((some.words.shape[2],), one) for one in case.present)
            with torch.no_grad():
                fused.append(fusion(some.masked(*present)).exp())
        probabilities = torch.cat(fused[::-1]).double().numpy()
        result = compute_metrics(probabilities, labels.numpy(), names)
        yield case.name, np.array([result[name] for name in _METRICS])


def evaluate_adapter(
    name: str, data: Path, sources: Sources, voices: VoiceRows | None, faces: FaceTurns | None, seeds: int
) -> Iterator[tuple[str, Float[np.ndarray, " metrics"]]]:
    """The metrics of one adapter, for every draw."""
    head, card = store.load(locate(name), acoustic.SPEC, visual.SPEC)
    if card.labels != sources.labels:
        raise AdapterError(
            f"{name} has the labels of {card.labels.name}, the recipe's data those of {sources.labels.name}"
        )
    source = backbone_source(card.backbone.name)
    backbone, prompter = llm_of(head, card, source, dtype="bfloat16")  # as in training, whose output is in the cache
    corpus = sources.dialogues.read(data, list(sources.dialogues.splits)[1])
    chunks = read_dialogues(corpus, backbone, prompter) if head.pseudo is not None else []
    dev = Split(word_rows(corpus, card.labels, backbone, prompter, card.prompt), chunks)
    for seed in range(_APART, _APART * (seeds + 1), _APART):
        yield from table_rows(*_draws(head, backbone, dev, voices, faces, seed), dev.rows.labels, card.labels.labels)


def _draws(
    head: EmotionHead, backbone: Backbone, dev: Split, voices: VoiceRows | None, faces: FaceTurns | None, seed: int
) -> tuple[list[TurnScores], list[TurnScores], Drawn]:
    voice_draws = voice_pool(head.voice, voices, seed) if head.voice and voices else None
    face_draws = face_pool(head.face, faces) if head.face and faces else None
    draws = partial(simulate_scores, head, backbone, dev, voice_draws, face_draws)
    shares = SHARES, CONFLICT
    evaluated = {
        (voice, face): draws(seed + DRAWS, shares[voice], shares[face])
        for voice, face in product((False, True), repeat=2)
    }
    drawn = [draws(seed + step) for step in range(DRAWS)]
    return drawn, [draws(seed + DRAWS + 1 + step, CONFLICT) for step in range(CONFLICTS)], evaluated


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    checkpoint: Annotated[
        list[str] | None, typer.Option(help="Folder or name of an adapter; may be given several times.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Draws of voices and faces for each adapter.", min=1)] = 1,
    config: Annotated[Path, typer.Option(help="The recipe whose data are read.")] = RECIPES / "default.toml",
) -> None:
    """Print the table: mean and standard deviation over adapters and draws."""
    found: dict[str, list[Float[np.ndarray, " metrics"]]] = {}
    recipe = read_recipe(config)
    sources = sources_of(recipe)
    encoders = Encoders(SpeechEncoder, FaceEncoder)
    _, voices = read_voices(sources, data, encoders)
    _, faces = read_faces(sources, data, encoders, _TURNS_PER_LABEL, seed=_APART)
    for name in checkpoint or ["default"]:
        for case, values in evaluate_adapter(name, data, sources, voices, faces, seeds):
            found.setdefault(case, []).append(values)
    typer.echo("| simulated dev | weighted F1 | macro F1 | accuracy | ECE |\n|---|---|---|---|---|")
    for case, draws in found.items():
        table = np.array(draws)
        std = table.std(0, ddof=1) if len(table) > 1 else np.zeros(len(_METRICS))
        cells = [f"{mean:.3f} ± {deviation:.3f}" for mean, deviation in zip(table.mean(0), std, strict=True)]
        typer.echo(f"| {case} | {' | '.join(cells)} |")
