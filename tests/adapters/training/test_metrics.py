"""The figures, against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.training.metrics import calibration_error, compute_metrics

NAMES = ("calm", "cross")


def test_figures_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
    result = compute_metrics(probabilities, np.array([0, 0, 1, 1]), NAMES)
    assert result["accuracy"] == 0.75
    assert result["per_class_f1"] == {"calm": pytest.approx(0.8), "cross": pytest.approx(2 / 3)}
    assert result["weighted_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert result["uar"] == 0.75
    assert result["brier"] == pytest.approx((0.02 + 0.08 + 0.32 + 0.98) / 4)
    assert result["risk_at_coverage"]["0.4"] == 0.0
    assert result["ece"] == pytest.approx((0.1 + 0.2 + 0.4 + 0.7) / 4)


def test_a_class_nobody_has_does_not_count() -> None:
    result = compute_metrics(np.array([[1.0, 0.0]]), np.array([0]), NAMES)
    assert result["macro_f1"] == 1.0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_calibration_error_is_a_share(answers: list[tuple[float, bool]]) -> None:
    confidence, right = (np.array(column, float) for column in zip(*answers, strict=True))
    assert 0 <= calibration_error(confidence, right) <= 1 + 1e-9


def test_honest_answers_have_no_calibration_error() -> None:
    assert calibration_error(np.full(10, 0.7), np.array([1.0] * 7 + [0.0] * 3)) == pytest.approx(0)
