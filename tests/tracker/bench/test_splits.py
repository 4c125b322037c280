import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.bench.splits import TURNS, confused, simulate
from tracker.observe.speakers import SpeakerRegistry


def test_a_turn_is_confused_where_no_pairing_of_speakers_makes_it_right():
    assert confused("aabb", ["1", "1", "2", "2"]) == 0
    assert confused("aabb", ["1", "1", "1", "1"]) == 0.5
    assert confused("aabb", ["1", "2", "3", "3"]) == 0.25


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("1234")), min_size=1, max_size=12))
def test_no_name_for_a_speaker_is_better_than_another(turns):
    spoke, named = ["".join(one) for one in zip(*turns, strict=True)]
    renamed = named.translate(str.maketrans("1234", "wxyz"))
    assert confused(spoke, list(named)) == confused(spoke, list(renamed)) == pytest.approx(confused(named, list(spoke)))


def test_people_whose_voices_never_change_are_never_split():
    voices = {name: [np.eye(4, dtype=np.float32)[place]] for place, name in enumerate("abcd")}
    found = simulate(voices, 4, 0.0, SpeakerRegistry(0.45, 8, 1.5, 0.1), np.random.default_rng(1))
    assert (found.named, found.left, found.right, found.wrong) == (4, 4, 0, 0)
    assert (found.confused_before, found.confused_after) == (0, 0)
    assert TURNS == 30
