"""Training as the authors train: the LLM run whole, forward and backward, the answer's tokens as the loss.

AdamW with epsilon 1e-4, a cosine schedule with a tenth of it as warm-up; the best epoch on the validation split is
kept, and training stops when none was better for a while.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import get_cosine_schedule_with_warmup

from adapters.errors import AdapterError
from adapters.mse.llm import MseBatch, MseLlm
from adapters.published.data import Turn
from adapters.published.sets import DataSet
from adapters.training.progress import progress

_EVALUATED = 8  # turns at a time

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fit:
    """How it is trained; `adapters.llm.presets.PaperFit` says what each means."""

    epochs: int
    batch: int
    learning_rate: float
    patience: int


def batch_of(turns: Sequence[Turn]) -> MseBatch:
    """Some turns, their frames padded."""
    return MseBatch(
        [turn.text for turn in turns], _padded([turn.audio for turn in turns]), _padded([turn.video for turn in turns])
    )


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


def _padded(frames: Sequence[Float[Tensor, "time dim"]]) -> tuple[Float[Tensor, "b time dim"], Int[Tensor, " b"]]:
    return pad_sequence(list(frames), batch_first=True), torch.tensor([len(one) for one in frames])


def _batches(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
