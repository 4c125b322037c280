"""Training as the authors train: the LLM run whole, forward and backward, the answer's tokens as the loss.

AdamW with epsilon 1e-4, a cosine schedule with a tenth of it as warm-up; the best epoch on the validation split is
kept, and training stops when none was better for a while.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import nll_loss
from transformers import get_cosine_schedule_with_warmup

from adapters.checkpoint import conformal
from adapters.checkpoint.conformal import EmotionSets, case_of
from adapters.errors import AdapterError
from adapters.mse.llm import MseLlm
from adapters.published.checkpoint import Calibration
from adapters.published.inputs import Turn, batch_of
from adapters.published.sets import DataSet
from adapters.training.fusion import COVERAGE
from adapters.training.metrics import Metrics, compute_metrics
from adapters.training.progress import progress

_EVALUATED = 8  # turns at a time
_TEMPERATURES = [float(one) for one in np.geomspace(0.2, 10.0, 200)]
_LEAST = 1e-12  # probability, before its logarithm is taken

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fit:
    """How it is trained; `adapters.llm.presets.PaperFit` says what each means."""

    epochs: int
    batch: int
    learning_rate: float
    patience: int


def epoch_of(
    model: MseLlm, dataset: DataSet, turns: Sequence[Turn], optimiser: torch.optim.Optimizer, batch: int
) -> Iterator[float]:
    """Train once through the turns; gives each step's loss.

    Raises:
        AdapterError: A loss is not finite.
    """
    for some in _batches(turns, batch):
        loss = model.loss(batch_of(some), [dataset.task.answer_to(turn.value) for turn in some])
        if not torch.isfinite(loss):
            raise AdapterError(
                f"the training loss is {float(loss.detach()):g}: take a lower --learning-rate, or --dtype float32"
            )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield float(loss.detach())


def predict(model: MseLlm, dataset: DataSet, turns: Sequence[Turn]) -> Float[Tensor, "turns answers"]:
    """Probabilities of the answers; turns of like length go together.

    Raises:
        AdapterError: One is not a number.
    """
    order = sorted(range(len(turns)), key=lambda index: len(turns[index].text))
    rows = torch.empty(len(turns), len(dataset.task.answers))
    for part in progress(list(_batches(order, _EVALUATED)), "evaluating"):
        rows[part] = model.scores(batch_of([turns[index] for index in part])).exp().cpu()
    if not torch.isfinite(rows).all():
        raise AdapterError("the LLM's answers are not numbers: take --dtype float32")
    return rows


def evaluate_split(model: MseLlm, dataset: DataSet, turns: Sequence[Turn]) -> dict[str, Any]:
    """The metrics of a split."""
    true = np.array([turn.value for turn in turns])
    return dataset.metrics(predict(model, dataset, turns).double().numpy(), true)


def calibrate(
    model: MseLlm, dataset: DataSet, valid: Sequence[Turn], labels: tuple[str, ...]
) -> tuple[Calibration, dict[str, Metrics]]:
    """Fit one temperature to all combinations of modalities, and conformal sets to each; metrics of each.

    Args:
        model: Trained.
        dataset: Its question.
        valid: Turns of emotions.
        labels: The emotions' names, in the order of the answers.

    Raises:
        AdapterError: An answer is not a number.
    """
    found: dict[str, tuple[Float[Tensor, "n answers"], Int[Tensor, " n"]]] = {}
    for case, turns in _cases(valid, live=model.adapter.shape.live):
        true = torch.tensor([int(turn.value) for turn in turns])
        found[case] = predict(model, dataset, turns).clamp(min=_LEAST).log(), true

    def misfit(temperature: float) -> float:
        fits = (nll_loss((rows / temperature).log_softmax(-1), true) for rows, true in found.values())
        return sum(map(float, fits))

    temperature = min(_TEMPERATURES, key=misfit)
    limits: dict[str, tuple[float, ...]] = {}
    metrics: dict[str, Metrics] = {}
    for case, (rows, true) in found.items():
        probabilities = (rows / temperature).softmax(-1).double().numpy()
        limits[case] = conformal.fit(probabilities, true.numpy(), COVERAGE)
        metrics[case] = compute_metrics(probabilities, true.numpy(), labels)
    return Calibration(temperature, EmotionSets(COVERAGE, limits)), metrics


def _cases(valid: Sequence[Turn], *, live: bool) -> Iterator[tuple[str, list[Turn]]]:
    """Each combination of modalities, and the turns that have them, with no others."""
    if not live:
        yield "words", list(valid)
        return
    for voice, face in product((False, True), repeat=2):
        have = [turn for turn in valid if (len(turn.audio) or not voice) and (len(turn.video) or not face)]
        case = case_of(True, voice, face)
        if have and case is not None:
            yield case, [turn.only(voice=voice, face=face) for turn in have]


def fit(
    model: MseLlm, dataset: DataSet, fitting: Sequence[Turn], valid: Sequence[Turn], how: Fit, seed: int
) -> dict[str, Any]:
    """Train; the adapter ends as it was in its best epoch on the validation split.

    Returns:
        The best epoch's metrics, its number, and the minutes that an epoch's training took.

    Raises:
        AdapterError: As `epoch_of`.
    """
    optimiser = torch.optim.AdamW(model.adapter.parameters(), lr=how.learning_rate, eps=1e-4)
    steps = how.epochs * math.ceil(len(fitting) / how.batch)
    schedule = get_cosine_schedule_with_warmup(optimiser, steps // 10, steps)
    random = torch.Generator().manual_seed(seed)
    best: dict[str, Any] = {}
    weights = model.adapter.state_dict()
    minutes: list[float] = []
    while len(minutes) < how.epochs and len(minutes) - best.get("epoch", 0) < how.patience:
        order = torch.randperm(len(fitting), generator=random).tolist()
        begun = time.monotonic()
        some = epoch_of(model, dataset, [fitting[index] for index in order], optimiser, how.batch)
        what = f"training, {len(minutes) + 1}/{how.epochs}"
        for _ in progress(some, what, total=steps // how.epochs):
            schedule.step()
        minutes.append((time.monotonic() - begun) / 60)
        result = evaluate_split(model, dataset, valid)
        if not best or dataset.score(result) > dataset.score(best):
            best = {**result, "epoch": len(minutes)}
            weights = {name: value.clone() for name, value in model.adapter.state_dict().items()}
    model.adapter.load_state_dict(weights)
    return {**best, "minutes_per_epoch": sum(minutes) / len(minutes)}


def _batches(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
