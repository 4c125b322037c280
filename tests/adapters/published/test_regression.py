"""The figures of sentiment, against values worked out by hand, and what must hold for any scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import AdapterError
from adapters.published.regression import mosei_metrics, sims_metrics

TRUE = np.array([-2.6, -1.0, 0.0, 0.4, 3.0])
PREDICTED = np.array([-3.4, 0.2, -0.1, 0.6, 2.2])
PAIRS = st.lists(st.tuples(st.floats(-4, 4), st.floats(-4, 4)), min_size=1, max_size=30)


def test_mosei_by_hand() -> None:
    result = mosei_metrics(PREDICTED, TRUE)
    assert result["n"] == 5
    assert result["mae"] == pytest.approx((0.8 + 1.2 + 0.1 + 0.2 + 0.8) / 5)
    assert result["corr"] == pytest.approx(np.corrcoef(PREDICTED, TRUE)[0, 1])
    # has0: truth - - + + +, predicted - + - + +; F1 of negative 0.5, of positive 2/3, weighted 2 : 3
    assert result["acc2_has0"] == pytest.approx(3 / 5)
    assert result["f1_has0"] == pytest.approx((2 * 0.5 + 3 * 2 / 3) / 5)
    # non0 leaves the third row out: truth - - + +, predicted - + + +
    assert result["acc2_non0"] == pytest.approx(3 / 4)
    assert result["f1_non0"] == pytest.approx((2 * 2 / 3 + 2 * 4 / 5) / 4)
    # Acc-7: -3 -1 0 0 3 against -3 0 -0 1 2; Acc-5: -2 -1 0 0 2 against -2 0 -0 1 2
    assert result["acc7"] == pytest.approx(2 / 5)
    assert result["acc5"] == pytest.approx(3 / 5)


def test_halves_are_rounded_to_the_even_number() -> None:
    assert mosei_metrics(np.array([0.5, 1.5, 2.5]), np.array([0.0, 2.0, 2.0]))["acc7"] == 1.0


def test_zero_is_positive_in_one_convention_and_left_out_in_the_other() -> None:
    result = mosei_metrics(np.array([0.0, -0.5]), np.array([1.0, 0.0]))
    assert (result["acc2_has0"], result["acc2_non0"]) == (0.5, 0.0)


def test_sims_by_hand() -> None:
    true = np.array([-1.0, -0.7, -0.1, 0.0, 0.1, 0.7, 1.0])
    predicted = np.array([-1.4, -0.6, 0.0, -0.2, 0.2, 0.8, 0.9])
    result = sims_metrics(predicted, true)
    assert result["mae"] == pytest.approx((0.0 + 0.1 + 0.1 + 0.2 + 0.1 + 0.1 + 0.1) / 7)
    assert result["acc2"] == 1.0
    assert result["f1"] == 1.0
    # of three, true 0 0 0 1 1 2 2, predicted 0 0 1 0 2 2 2; of five, true 0 0 1 2 2 3 4, predicted 0 1 2 1 3 4 4
    assert result["acc3"] == pytest.approx(4 / 7)
    assert result["acc5"] == pytest.approx(2 / 7)


def test_a_score_on_a_border_falls_below_it_in_either_number_format() -> None:
    borders = np.array([-0.7, -0.1, 0.0, 0.1, 0.7])
    for kind in (np.float32, np.float64):
        assert sims_metrics(borders.astype(kind), borders)["acc5"] == 1.0
    assert sims_metrics(borders + 1e-3, borders)["acc5"] == pytest.approx(1 / 5)


def test_what_is_not_defined_is_none() -> None:
    result = mosei_metrics(np.array([1.0, 2.0]), np.array([0.0, 0.0]))
    assert (result["corr"], result["acc2_non0"], result["f1_non0"]) == (None, None, None)


@given(PAIRS)
def test_figures_are_shares_and_finer_classes_are_no_easier(pairs: list[tuple[float, float]]) -> None:
    predicted, true = (np.array(column) for column in zip(*pairs, strict=True))
    mosei, sims = mosei_metrics(predicted, true), sims_metrics(predicted, true)
    shares = [mosei[k] for k in ("acc2_has0", "f1_has0", "acc2_non0", "f1_non0", "acc5", "acc7")]
    shares += [sims[k] for k in ("acc2", "acc3", "acc5", "f1")]
    assert all(share is None or 0 <= share <= 1 for share in shares)
    assert mosei["acc7"] <= mosei["acc5"]
    assert sims["acc5"] <= sims["acc3"]
    assert mosei["corr"] is None or -1 <= mosei["corr"] <= 1


@given(PAIRS)
def test_the_truth_is_perfect(pairs: list[tuple[float, float]]) -> None:
    true = np.array([pair[0] for pair in pairs])
    mosei, sims = mosei_metrics(true, true), sims_metrics(true, true)
    assert mosei["mae"] == sims["mae"] == 0
    assert {mosei["acc2_has0"], mosei["f1_has0"], mosei["acc5"], mosei["acc7"]} == {1.0}
    assert {sims["acc2"], sims["acc3"], sims["acc5"], sims["f1"]} == {1.0}
    assert mosei["acc2_non0"] in (1.0, None)
    assert mosei["corr"] is None or mosei["corr"] == pytest.approx(1)


@given(PAIRS, st.randoms())
def test_order_does_not_matter(pairs: list[tuple[float, float]], random: object) -> None:
    shuffled = sorted(pairs, key=lambda _: random.random())  # type: ignore[attr-defined]
    for judge in (mosei_metrics, sims_metrics):
        one, two = (judge(*(np.array(c) for c in zip(*rows, strict=True))) for rows in (pairs, shuffled))
        assert one.keys() == two.keys()
        for key in one:
            assert one[key] == (None if two[key] is None else pytest.approx(two[key], abs=1e-6))


@pytest.mark.parametrize(
    ("predicted", "true"), [([], []), ([1.0], [1.0, 2.0]), ([[1.0]], [[1.0]]), ([np.nan], [1.0]), ([1.0], [np.inf])]
)
def test_what_cannot_be_compared(predicted: list[float], true: list[float]) -> None:
    with pytest.raises(AdapterError, match=r"cannot compare|not finite"):
        sims_metrics(np.array(predicted), np.array(true))
