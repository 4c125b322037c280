import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tracker.turns.changes import speaker_changes


def active(*rows: str) -> np.ndarray:
    """One row per speaker, ``#`` where active."""
    return np.array([[mark == "#" for mark in row] for row in rows]).T


def test_the_floor_passes_halfway_through_a_gap():
    assert speaker_changes(active("######........", "..........####"), 4, 3) == [8]


def test_the_floor_passes_halfway_through_an_overlap():
    assert speaker_changes(active("########......", "....##########"), 4, 3) == [6]


def test_a_backchannel_is_not_a_change():
    assert speaker_changes(active("##############", "....###......."), 3, 3) == []
    assert speaker_changes(active("#####...######", ".....###......"), 4, 3) == []


def test_the_floor_goes_back_and_forth():
    assert speaker_changes(active("#####.....#####", ".....#####....."), 4, 3) == [5, 10]


def test_a_cough_before_the_first_speaker_is_not_a_turn():
    assert speaker_changes(active("#.............", "..############"), 4, 3) == []


@given(arrays(bool, st.tuples(st.integers(0, 80), st.just(3))), st.integers(1, 10), st.integers(1, 10))
def test_changes_are_inside_and_in_order(activity, new, old):
    found = speaker_changes(activity, new, old)
    assert found == sorted(found)
    assert all(0 <= at <= len(activity) for at in found)
    # One voice alone never changes.
    assert speaker_changes(activity[:, :1], new, old) == []
