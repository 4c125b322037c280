"""How well predicted sentiment fits: the metrics of multimodal sentiment analysis, as MMSA defines them.

Source of all definitions: MMSA's ``src/MMSA/utils/metricsTop.py`` (Mao et al., "M-SENA: An Integrated Platform for
Multimodal Sentiment Analysis", ACL 2022), ``eval_mosei_regression`` and ``eval_sims_regression``. Scores of MOSEI lie
in [-3, 3], scores of SIMS in [-1, 1].

- MAE and Pearson's correlation; SIMS's after both sides were clipped to [-1, 1], MOSEI's as they are.
- MOSEI Acc-2 in two conventions: ``has0`` takes all rows and calls a score of 0 or more positive; ``non0`` leaves out
  rows whose truth is 0 and calls a score above 0 positive. F1 is weighted by class, in each convention.
- MOSEI Acc-5 and Acc-7: both sides clipped to [-2, 2] and [-3, 3], rounded to the nearest whole number (halves to the
  even one, as numpy rounds), equal or not.
- SIMS Acc-2, -3, -5: both sides put into intervals that are open below and closed above, with borders 0; -0.1, 0.1;
  and -0.7, -0.1, 0.1, 0.7; in float32, so that a score on a border falls below it. F1 is that of Acc-2, weighted.

MMSA rounds to four digits; here nothing is rounded. Where a metric is undefined (no row left, or no spread to
correlate) it is None rather than a warning and a not-a-number.

Letters: ``n`` rows.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.metrics import f1_score

from adapters.errors import AdapterError

_BORDERS = {2: (0.0,), 3: (-0.1, 0.1), 5: (-0.7, -0.1, 0.1, 0.7)}


class MoseiMetrics(TypedDict):
    """Metrics on MOSEI's scale."""

    n: int
    mae: float
    corr: float | None
    acc2_has0: float
    f1_has0: float
    acc2_non0: float | None
    f1_non0: float | None
    acc5: float
    acc7: float


class SimsMetrics(TypedDict):
    """Metrics on the scale of SIMS and SIMS-V2."""

    n: int
    mae: float
    corr: float | None
    acc2: float
    acc3: float
    acc5: float
    f1: float


def mosei_metrics(predicted: Float[np.ndarray, " n"], true: Float[np.ndarray, " n"]) -> MoseiMetrics:
    """All metrics on MOSEI's scale.

    Raises:
        AdapterError: There are no rows, not as many predictions as truths, or numbers that are not finite.
    """
    _assert_pairs(predicted, true)
    rows = true != 0
    has0_predicted, has0_true = predicted >= 0, true >= 0
    non0_predicted, non0_true = predicted[rows] > 0, true[rows] > 0
    return {
        "n": len(true),
        "mae": float(np.abs(predicted - true).mean()),
        "corr": _correlation(predicted, true),
        "acc2_has0": _same(has0_predicted, has0_true),
        "f1_has0": _weighted_f1(has0_predicted, has0_true),
        "acc2_non0": _same(non0_predicted, non0_true) if rows.any() else None,
        "f1_non0": _weighted_f1(non0_predicted, non0_true) if rows.any() else None,
        "acc5": _same(_rounded(predicted, 2.0), _rounded(true, 2.0)),
        "acc7": _same(_rounded(predicted, 3.0), _rounded(true, 3.0)),
    }


def sims_metrics(predicted: Float[np.ndarray, " n"], true: Float[np.ndarray, " n"]) -> SimsMetrics:
    """All metrics on the scale of SIMS.

    Raises:
        AdapterError: As `mosei_metrics`.
    """
    _assert_pairs(predicted, true)
    predicted, true = predicted.clip(-1.0, 1.0), true.clip(-1.0, 1.0)
    accuracy = {n: _same(_interval(predicted, borders), _interval(true, borders)) for n, borders in _BORDERS.items()}
    return {
        "n": len(true),
        "mae": float(np.abs(predicted - true).mean()),
        "corr": _correlation(predicted, true),
        "acc2": accuracy[2],
        "acc3": accuracy[3],
        "acc5": accuracy[5],
        "f1": _weighted_f1(predicted > 0, true > 0),
    }


def _assert_pairs(predicted: Float[np.ndarray, " n"], true: Float[np.ndarray, " m"]) -> None:
    if predicted.ndim != 1 or predicted.shape != true.shape or len(true) == 0:
        raise AdapterError(f"cannot compare predictions of shape {predicted.shape} with truths of shape {true.shape}")
    if not (np.isfinite(predicted).all() and np.isfinite(true).all()):
        raise AdapterError("predictions or truths hold numbers that are not finite")


def _correlation(predicted: Float[np.ndarray, " n"], true: Float[np.ndarray, " n"]) -> float | None:
    """Pearson's correlation; None where either side does not vary."""
    a, b = predicted.astype(np.float64), true.astype(np.float64)
    a, b = a - a.mean(), b - b.mean()
    spread = np.sqrt((a * a).sum()) * np.sqrt((b * b).sum())
    return float(((a * b).sum() / spread).clip(-1.0, 1.0)) if spread > 0 else None


def _interval(scores: Float[np.ndarray, " n"], borders: tuple[float, ...]) -> Int[np.ndarray, " n"]:
    return np.digitize(scores.astype(np.float32), np.array(borders, np.float32), right=True)


def _rounded(scores: Float[np.ndarray, " n"], limit: float) -> Float[np.ndarray, " n"]:
    rounded: Float[np.ndarray, " n"] = np.round(scores.clip(-limit, limit))
    return rounded


def _same(
    predicted: Bool[np.ndarray, " n"] | Int[np.ndarray, " n"] | Float[np.ndarray, " n"],
    true: Bool[np.ndarray, " n"] | Int[np.ndarray, " n"] | Float[np.ndarray, " n"],
) -> float:
    return float((predicted == true).mean())


def _weighted_f1(predicted: Bool[np.ndarray, " n"], true: Bool[np.ndarray, " n"]) -> float:
    return float(f1_score(true, predicted, average="weighted", zero_division=0.0))
