"""What voice and face add to the words, and what they spoil where they contradict.

Adapters are evaluated on MELD dev with simulated voices and faces (see `adapters.training.simulate`), each with several
draws. Late fusion is fitted anew on one half of dev and evaluated on the other, so that no turn is evaluated by weights
that were fitted to it. A Markdown table on stdout; the models' outputs come from the cache, so it takes a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from jaxtyping import Float, Int
from torch import Tensor

from adapters.checkpoint import store
from adapters.contract import MELD_LABELS
from adapters.datasets import meld
from adapters.features import acoustic, visual
from adapters.features.acoustic import SpeechEncoder
from adapters.features.visual import FaceEncoder
from adapters.llm.backbone import Backbone
from adapters.llm.presets import backbone_source
from adapters.readout.fusion import LateFusion
from adapters.readout.head import EmotionHead
from adapters.recogniser import llm_of, locate
from adapters.training.faces import FaceTurns, turns_with_faces
from adapters.training.feature_cache import VoiceRows, voice_rows, word_rows
from adapters.training.fit_pseudo import read_dialogues
from adapters.training.fusion import DRAWS, fit_fusion
from adapters.training.metrics import compute_metrics
from adapters.training.modality_scores import SimulatedScores, Split, face_pool, simulate_scores, voice_pool
from adapters.training.simulate import CONFLICT

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
        scores: Chosen from a matching draw and one in which every voice and face shows any emotion.
    """

    name: str
    present: tuple[bool, bool, bool]
    scores: Callable[[SimulatedScores, SimulatedScores], SimulatedScores]


def _matching(matching: SimulatedScores, _: SimulatedScores) -> SimulatedScores:
    return matching


def _voice(matching: SimulatedScores, conflicting: SimulatedScores) -> SimulatedScores:
    return replace(conflicting, face=matching.face)


def _face(matching: SimulatedScores, conflicting: SimulatedScores) -> SimulatedScores:
    return replace(matching, face=conflicting.face)


def _both(_: SimulatedScores, conflicting: SimulatedScores) -> SimulatedScores:
    return conflicting


CASES = (
    Case("T", (True, False, False), _matching),
    Case("A", (False, True, False), _matching),
    Case("V", (False, False, True), _matching),
    Case("T+A", (True, True, False), _matching),
    Case("T+V", (True, False, True), _matching),
    Case("A+V", (False, True, True), _matching),
    Case("T+A+V", (True, True, True), _matching),
    Case("T+A, every voice in conflict", (True, True, False), _voice),
    Case("T+V, every face in conflict", (True, False, True), _face),
    Case("T+A+V, every voice in conflict", (True, True, True), _voice),
    Case("T+A+V, every face in conflict", (True, True, True), _face),
    Case("T+A+V, both in conflict", (True, True, True), _both),
)


def part(scores: SimulatedScores, rows: slice) -> SimulatedScores:
    """The scores of some of the turns."""
    face = None if scores.face is None else scores.face[rows]
    return SimulatedScores(scores.words[rows], scores.words_with_voice[rows], scores.voice[rows], face)


def table_rows(
    drawn: list[SimulatedScores],
    matching: SimulatedScores,
    conflicting: SimulatedScores,
    labels: Int[Tensor, " turns"],
) -> Iterator[tuple[str, Float[np.ndarray, " metrics"]]]:
    """Metrics of each case, each half of the turns fused by weights that were fitted on the other.

    Args:
        drawn: Draws to fit the weights to.
        matching: A draw to evaluate.
        conflicting: One in which voices and faces contradict.
        labels: Class ids of the turns.
    """
    middle = len(labels) // 2
    halves = slice(0, middle), slice(middle, len(labels))
    fusions = [LateFusion(len(MELD_LABELS)) for _ in halves]
    for fusion, rows in zip(fusions, halves, strict=True):
        fit_fusion(fusion, [part(scores, rows) for scores in drawn], labels[rows])
    for case in CASES:
        if case.present[2] and matching.face is None:
            continue
        evaluated = []
        for fusion, rows in zip(fusions, reversed(halves), strict=True):
            scores = part(case.scores(matching, conflicting), rows)
            present = (torch.full((len(scores.words),), one) for one in case.present)
            with torch.no_grad():
                evaluated.append(fusion(scores.masked(*present)).exp())
        probabilities = torch.cat(evaluated[::-1]).double().numpy()
        result = compute_metrics(probabilities, labels.numpy(), MELD_LABELS.labels)
        yield case.name, np.array([result[name] for name in _METRICS])


def evaluate_adapter(
    name: str, data: Path, voices: VoiceRows, faces: FaceTurns, seeds: int
) -> Iterator[tuple[str, Float[np.ndarray, " metrics"]]]:
    """The metrics of one adapter, for every draw."""
    head, card = store.load(locate(name), acoustic.SPEC, visual.SPEC)
    source = backbone_source(card.backbone.name)
    backbone, prompter = llm_of(card, source, dtype="bfloat16")  # as in training, whose output is in the cache
    corpus = meld.load(data / "meld", "dev")
    chunks = read_dialogues(corpus, backbone, prompter) if head.pseudo is not None else []
    dev = Split(word_rows(corpus, backbone, prompter, card.prompt), chunks)
    for seed in range(_APART, _APART * (seeds + 1), _APART):
        drawn, conflicting = _draws(head, backbone, dev, voices, faces, seed)
        yield from table_rows(drawn[:-1], drawn[-1], conflicting, dev.rows.labels)


def _draws(
    head: EmotionHead, backbone: Backbone, dev: Split, voices: VoiceRows, faces: FaceTurns, seed: int
) -> tuple[list[SimulatedScores], SimulatedScores]:
    voice_draws, face_draws = voice_pool(head, voices, seed), face_pool(head, faces)
    drawn = [simulate_scores(head, backbone, dev, voice_draws, face_draws, seed + step) for step in range(DRAWS + 1)]
    return drawn, simulate_scores(head, backbone, dev, voice_draws, face_draws, seed + DRAWS, CONFLICT)


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    checkpoint: Annotated[
        list[str] | None, typer.Option(help="Folder or name of an adapter; may be given several times.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Draws of voices and faces for each adapter.", min=1)] = 1,
) -> None:
    """Print the table: mean and standard deviation over adapters and draws."""
    found: dict[str, list[Float[np.ndarray, " metrics"]]] = {}
    rows = voice_rows(data, SpeechEncoder)
    voices = rows.where(rows.held_out.numpy())
    _, faces = turns_with_faces(data, FaceEncoder, _TURNS_PER_LABEL, seed=_APART)
    for name in checkpoint or ["default"]:
        for case, values in evaluate_adapter(name, data, voices, faces, seeds):
            found.setdefault(case, []).append(values)
    typer.echo("| simulated dev | weighted F1 | macro F1 | accuracy | ECE |\n|---|---|---|---|---|")
    for case, draws in found.items():
        table = np.array(draws)
        std = table.std(0, ddof=1) if len(table) > 1 else np.zeros(len(_METRICS))
        cells = [f"{mean:.3f} ± {deviation:.3f}" for mean, deviation in zip(table.mean(0), std, strict=True)]
        typer.echo(f"| {case} | {' | '.join(cells)} |")
