"""``python -m adapters modalities``: what voice and face add to the words, and what they spoil where they contradict.

Adapters are judged on MELD dev with simulated voices and faces (see `adapters.training.simulate`), each with several
draws. How the witnesses are weighed is fitted anew on one half of dev and judged on the other, so that no turn weighs
for itself. A Markdown table on stdout; the models' readings come from the cache, so that it takes a minute.
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
from adapters.features.visual import ExpressionReader
from adapters.llm.backbone import Backbone
from adapters.llm.presets import backbone_source
from adapters.readout.judge import Judge, Weigh
from adapters.recogniser import llm_of, locate
from adapters.training.faces import FaceTurns, turns_with_faces
from adapters.training.feature_cache import VoiceRows, voice_rows, word_rows
from adapters.training.fit_pseudo import read
from adapters.training.fusion import DRAWS, weigh_witnesses
from adapters.training.metrics import figures
from adapters.training.modality_scores import Said, Split, face_pool, say, voice_pool
from adapters.training.simulate import CONFLICT

_FIGURES: tuple[Literal["weighted_f1", "macro_f1", "accuracy", "ece"], ...] = (
    *("weighted_f1", "macro_f1", "accuracy", "ece"),
)
_TURNS_PER_LABEL = 1500  # with a face, of which a fifth is held out
_APART = 1000  # seeds from those of training


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table.

    Attributes:
        name: What is there, and what of it contradicts.
        there: Whether words, voice and face are.
        said: What the readers say, from a usual draw and one in which every voice and face shows any emotion.
    """

    name: str
    there: tuple[bool, bool, bool]
    said: Callable[[Said, Said], Said]


def _usual(said: Said, _: Said) -> Said:
    return said


def _voice(said: Said, conflicting: Said) -> Said:
    return replace(conflicting, face=said.face)


def _face(said: Said, conflicting: Said) -> Said:
    return replace(said, face=conflicting.face)


def _both(_: Said, conflicting: Said) -> Said:
    return conflicting


CASES = (
    Case("T", (True, False, False), _usual),
    Case("A", (False, True, False), _usual),
    Case("V", (False, False, True), _usual),
    Case("T+A", (True, True, False), _usual),
    Case("T+V", (True, False, True), _usual),
    Case("A+V", (False, True, True), _usual),
    Case("T+A+V", (True, True, True), _usual),
    Case("T+A, every voice in conflict", (True, True, False), _voice),
    Case("T+V, every face in conflict", (True, False, True), _face),
    Case("T+A+V, every voice in conflict", (True, True, True), _voice),
    Case("T+A+V, every face in conflict", (True, True, True), _face),
    Case("T+A+V, both in conflict", (True, True, True), _both),
)


def part(said: Said, rows: slice) -> Said:
    """What is said of some of the turns."""
    face = None if said.face is None else said.face[rows]
    return Said(said.words[rows], said.words_beside[rows], said.voice[rows], face)


def table_rows(
    drawn: list[Said], usual: Said, conflicting: Said, labels: Int[Tensor, " turns"]
) -> Iterator[tuple[str, Float[np.ndarray, " figures"]]]:
    """Figures of each case, each half of the turns weighed by weights that were fitted on the other.

    Args:
        drawn: Draws to fit the weights to.
        usual: A draw to judge.
        conflicting: One in which voices and faces contradict.
        labels: Class ids of the turns.
    """
    middle = len(labels) // 2
    halves = slice(0, middle), slice(middle, len(labels))
    weighs = [Weigh(len(MELD_LABELS)) for _ in halves]
    for weigh, rows in zip(weighs, halves, strict=True):
        weigh_witnesses(weigh, [part(said, rows) for said in drawn], labels[rows])
    for case in CASES:
        if case.there[2] and usual.face is None:
            continue
        judged = []
        for weigh, rows in zip(weighs, reversed(halves), strict=True):
            said = part(case.said(usual, conflicting), rows)
            there = (torch.full((len(said.words),), present) for present in case.there)
            with torch.no_grad():
                judged.append(weigh(said.given(*there)).exp())
        probabilities = torch.cat(judged[::-1]).double().numpy()
        result = figures(probabilities, labels.numpy(), MELD_LABELS.labels)
        yield case.name, np.array([result[name] for name in _FIGURES])


def judge_adapter(
    name: str, data: Path, voices: VoiceRows, faces: FaceTurns, seeds: int
) -> Iterator[tuple[str, Float[np.ndarray, " figures"]]]:
    """The figures of one adapter, for every draw."""
    judge, card = store.load(locate(name), acoustic.SPEC, visual.SPEC)
    source = backbone_source(card.backbone.name)
    backbone, prompter = llm_of(card, source, dtype="bfloat16")  # as in training, whose readings are kept
    corpus = meld.load(data / "meld", "dev")
    parts = read(corpus, backbone, prompter) if judge.pseudo is not None else []
    dev = Split(word_rows(corpus, backbone, prompter, card.prompt), parts)
    for seed in range(_APART, _APART * (seeds + 1), _APART):
        drawn, conflicting = _draws(judge, backbone, dev, voices, faces, seed)
        yield from table_rows(drawn[:-1], drawn[-1], conflicting, dev.rows.labels)


def _draws(
    judge: Judge, backbone: Backbone, dev: Split, voices: VoiceRows, faces: FaceTurns, seed: int
) -> tuple[list[Said], Said]:
    heard, seen = voice_pool(judge, voices, seed), face_pool(judge, faces)
    drawn = [say(judge, backbone, dev, heard, seen, seed + step) for step in range(DRAWS + 1)]
    return drawn, say(judge, backbone, dev, heard, seen, seed + DRAWS, CONFLICT)


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    checkpoint: Annotated[
        list[str] | None, typer.Option(help="Folder or name of an adapter; may be given several times.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Draws of voices and faces for each adapter.", min=1)] = 1,
) -> None:
    """Print the table: mean and spread over adapters and draws."""
    found: dict[str, list[Float[np.ndarray, " figures"]]] = {}
    heard = voice_rows(data, SpeechEncoder)
    voices = heard.where(heard.held_out.numpy())
    _, faces = turns_with_faces(data, ExpressionReader, _TURNS_PER_LABEL, seed=_APART)
    for name in checkpoint or ["default"]:
        for case, values in judge_adapter(name, data, voices, faces, seeds):
            found.setdefault(case, []).append(values)
    typer.echo("| simulated dev | weighted F1 | macro F1 | accuracy | ECE |\n|---|---|---|---|---|")
    for case, rows in found.items():
        table = np.array(rows)
        spread = table.std(0, ddof=1) if len(table) > 1 else np.zeros(len(_FIGURES))
        cells = [f"{mean:.3f} ± {wide:.3f}" for mean, wide in zip(table.mean(0), spread, strict=True)]
        typer.echo(f"| {case} | {' | '.join(cells)} |")
