"""The paper's data sets: the question to the LLM for each, and the metrics of its answers.

The answer is the most likely one, as in the authors' code, which decodes greedily; a sentiment is the number in
this answer, not a mean over all of them. The best epoch is that of the highest weighted F1, or of the smallest mean
absolute error, as the authors choose it.

Letters: ``n`` turns, ``answers`` of the task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float

from adapters.contract import MELD_LABELS
from adapters.datasets.processed import CHERMA_LABELS
from adapters.errors import AdapterError
from adapters.mse.tasks import TASKS, Task
from adapters.published.regression import MoseiMetrics, SimsMetrics, mosei_metrics, sims_metrics
from adapters.training.metrics import compute_metrics

Probabilities = Float[np.ndarray, "n answers"]
Values = Float[np.ndarray, " n"]


class DataSet(Protocol):
    """The question, and the metrics of its answers."""

    @property
    def task(self) -> Task:
        """The question and its answers."""

    def metrics(self, probabilities: Probabilities, true: Values) -> dict[str, Any]:
        """How probabilities of the answers fit the true class ids or intensities."""

    def score(self, metrics: Mapping[str, Any]) -> float:
        """What the best epoch has most of."""


@dataclass(frozen=True, slots=True)
class Emotions:
    """Classes; ``labels`` are their names in the order of the task's answers."""

    task: Task
    labels: tuple[str, ...]

    def metrics(self, probabilities: Probabilities, true: Values) -> dict[str, Any]:
        """As every evaluation of emotions reports them."""
        return dict(compute_metrics(probabilities, true.astype(int), self.labels))

    def score(self, metrics: Mapping[str, Any]) -> float:
        """Weighted F1."""
        return float(metrics["weighted_f1"])


@dataclass(frozen=True, slots=True)
class Sentiment:
    """Intensities; ``measure`` compares predicted with true ones, ``file`` is MMSA's with the features."""

    task: Task
    measure: Callable[[Values, Values], MoseiMetrics | SimsMetrics]
    file: str

    @property
    def limit(self) -> float:
        """Intensities lie between minus this and this."""
        return max(self.task.values)

    def metrics(self, probabilities: Probabilities, true: Values) -> dict[str, Any]:
        """As MMSA reports them."""
        return dict(self.measure(np.array(self.task.values)[probabilities.argmax(1)], true))

    def score(self, metrics: Mapping[str, Any]) -> float:
        """Minus the mean absolute error."""
        return -float(metrics["mae"])


SETS: Mapping[str, Emotions | Sentiment] = {
    "meld": Emotions(TASKS["meld"], MELD_LABELS.labels),
    "cherma": Emotions(TASKS["cherma"], CHERMA_LABELS.labels),
    "mosei": Sentiment(TASKS["mosei"], mosei_metrics, "unaligned_50.pkl"),
    "sims-v2": Sentiment(TASKS["sims-v2"], sims_metrics, "ch-simsv2s.pkl"),
}


def set_of(name: str) -> Emotions | Sentiment:
    """A data set by name.

    Raises:
        AdapterError: The paper has no such set.
    """
    try:
        return SETS[name]
    except KeyError:
        raise AdapterError(f"unknown data set {name!r}: take {', '.join(SETS)}") from None
