"""Sets hold the true class as often as promised, class by class."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.checkpoint.conformal import CASES, EmotionSets, case_of, contains, fit, read
from adapters.errors import AdapterError


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40), st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_each_turn_left_out_in_turn_is_covered_as_promised(fits: list[float], coverage: float) -> None:
    """The theorem itself: over which of exchangeable turns is the new one, coverage is at least what was promised."""
    rows = np.array([[p, 1 - p] for p in fits])
    labels = np.zeros(len(fits), int)
    covered = [
        contains(rows[[new]], fit(np.delete(rows, new, 0), np.delete(labels, new), coverage))[0, 0]
        for new in range(len(fits))
    ]
    assert np.mean(covered) >= coverage - 1e-9


def _draw(random: np.random.Generator, turns: int) -> tuple[np.ndarray, np.ndarray]:
    """Turns of four classes, the last one rare and badly recognised."""
    labels = random.choice(4, turns, p=[0.6, 0.2, 0.15, 0.05])
    pull = np.array([3.0, 2.0, 1.0, 0.2])[labels]
    scores = random.normal(size=(turns, 4)) + pull[:, None] * np.eye(4)[labels]
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return probabilities, labels


def test_every_class_is_covered_even_the_rare_and_badly_recognised_one() -> None:
    random = np.random.default_rng(0)
    covered = []
    for _ in range(60):
        limits = fit(*_draw(random, 1000), 0.9)
        probabilities, labels = _draw(random, 2000)
        held = contains(probabilities, limits)[np.arange(len(labels)), labels]
        covered.append([held[labels == label].mean() for label in range(4)])
    means = np.mean(covered, axis=0)
    assert (means >= 0.89).all()
    assert (means <= 0.93).all()  # nor are the sets larger than need be


@given(st.integers(0, 2**32 - 1))
def test_a_higher_promise_makes_no_set_smaller(seed: int) -> None:
    probabilities, labels = _draw(np.random.default_rng(seed), 80)
    low, high = (contains(probabilities, fit(probabilities, labels, coverage)) for coverage in (0.7, 0.9))
    assert (high >= low).all()


def test_limits_by_hand() -> None:
    probabilities = np.array([[p, 1 - p] for p in (0.9, 0.8, 0.7, 0.6)])
    labels = np.zeros(4, int)
    assert fit(probabilities, labels, 0.6) == (pytest.approx(0.3), 1.0)  # third smallest of four
    assert fit(probabilities, labels, 0.8) == (pytest.approx(0.4), 1.0)  # fourth smallest
    assert fit(probabilities, labels, 0.81) == (1.0, 1.0)  # four turns cannot promise that


@pytest.mark.parametrize("coverage", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_that_cannot_be(coverage: float) -> None:
    with pytest.raises(AdapterError, match="coverage is"):
        fit(np.array([[1.0]]), np.array([0]), coverage)


def test_cases() -> None:
    given_ = list(product((True, False), repeat=3))
    assert sorted(str(case_of(*modalities)) for modalities in given_) == sorted([*CASES, "None"])
    assert case_of(True, True, False) == "words and voice"
    assert case_of(True, True, True) == "words, voice and face"
    assert case_of(False, False, False) is None


@pytest.mark.parametrize("faces", [False, True])
@pytest.mark.parametrize(
    "raw",
    [
        {"coverage": 0.9, "limits": {"words": [0.5, 0.5]}},
        {"coverage": 0.9, "limits": {case: [0.5] for case in CASES}},
        {"coverage": 9, "limits": {case: [0.5, 0.5] for case in CASES}},
        {"coverage": 0.9, "limits": {case: [0.5, float("nan")] for case in CASES}},
        {"limits": {}},
        [],
    ],
)
def test_a_card_with_odd_sets(raw: object, faces: bool) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read(raw, 2, faces)


def test_a_card_with_sets_and_one_without() -> None:
    limits = {case: (0.5, 1.0) for case in CASES}
    assert read({"coverage": 0.9, "limits": limits}, 2, faces=True) == EmotionSets(0.9, limits)
    before = {case: limits[case] for case in ("words", "words and voice", "voice")}
    assert read({"coverage": 0.9, "limits": before}, 2, faces=False) == EmotionSets(0.9, before)
    with pytest.raises(KeyError, match="face"):
        read({"coverage": 0.9, "limits": before}, 2, faces=True)
    assert read(None, 2, faces=True) is None
