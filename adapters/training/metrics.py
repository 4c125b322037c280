"""How well probabilities fit labels: the metrics that every evaluation reports.

F1 as scikit-learn defines it, weighted, and as the mean of the classes that occur; unweighted average recall (UAR) is
the mean of the classes' recalls; the expected calibration error is Guo et al. 2017's, ten bins of equal width over the
top probability; the Brier score is the squared distance between probabilities and the label's one-hot vector;
risk-coverage is the error among the most confident shares of the answers (Geifman & El-Yaniv 2017).

Letters: ``n`` turns, ``classes``.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from jaxtyping import Float, Int
from sklearn.metrics import f1_score, recall_score

_BINS = 10
_COVERAGES = (1.0, 0.8, 0.6, 0.4, 0.2)


class Metrics(TypedDict):
    """The metrics of one evaluation; shares and scores in [0, 1]."""

    n: int
    weighted_f1: float
    macro_f1: float
    accuracy: float
    uar: float
    ece: float
    brier: float
    per_class_f1: dict[str, float]
    risk_at_coverage: dict[str, float]


def calibration_error(confidence: Float[np.ndarray, " n"], right: Float[np.ndarray, " n"]) -> float:
    """Mean distance between how sure the answers were and how often they were right."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = [abs(float(np.sum(confidence[bins == b] - right[bins == b]))) for b in range(_BINS)]
    return sum(gaps) / len(confidence)


def weighted_f1(guesses: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"]) -> float:
    """The mean of the classes' F1, each weighted by how often the class is true."""
    return float(f1_score(labels, guesses, average="weighted", zero_division=0.0))


def compute_metrics(
    probabilities: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"], names: tuple[str, ...]
) -> Metrics:
    """All metrics of one evaluation.

    Args:
        probabilities: One row per turn.
        labels: The true class ids.
        names: The classes.
    """
    guesses, confidence = probabilities.argmax(1), probabilities.max(1)
    right = (guesses == labels).astype(float)
    every = np.arange(len(names))
    per_class = f1_score(labels, guesses, labels=every, average=None, zero_division=0.0)
    order = np.argsort(-confidence, kind="stable")
    present = np.unique(labels)
    return {
        "n": len(labels),
        "weighted_f1": weighted_f1(guesses, labels),
        "macro_f1": float(f1_score(labels, guesses, labels=present, average="macro", zero_division=0.0)),
        "accuracy": float(right.mean()),
        "uar": float(recall_score(labels, guesses, labels=present, average="macro", zero_division=0.0)),
        "ece": calibration_error(confidence, right),
        "brier": float(np.mean(np.sum((probabilities - np.eye(len(names))[labels]) ** 2, axis=1))),
        "per_class_f1": dict(zip(names, map(float, per_class), strict=True)),
        "risk_at_coverage": {
            f"{share:g}": float(1 - right[order[: max(1, round(share * len(order)))]].mean()) for share in _COVERAGES
        },
    }
