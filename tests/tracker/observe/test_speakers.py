import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tracker.observe.speakers import SpeakerRegistry, VoiceSample


def book(**changes) -> SpeakerRegistry:
    return SpeakerRegistry(**{"same_above": 0.45, "max_speakers": 8, "short_turn_s": 1.5, "continuity": 0.1, **changes})


def voice(*coordinates: float, duration_s: float = 3.0, changed: bool = False) -> VoiceSample:
    vector = np.array(coordinates, np.float32)
    return VoiceSample(vector / np.linalg.norm(vector), duration_s, changed)


def test_speakers_are_named_in_order_of_appearance_and_known_again():
    speakers = book()
    heard = [voice(1, 0, 0), voice(0, 1, 0), voice(0.9, 0.1, 0), voice(0, 0.9, 0.1), voice(0, 0, 1)]
    assert [speakers.identify(v) for v in heard] == ["Speaker 1", "Speaker 2", "Speaker 1", "Speaker 2", "Speaker 3"]


def test_a_short_turn_leans_on_the_last_speaker():
    speakers = book()
    speakers.identify(voice(1, 0, 0))
    speakers.identify(voice(0, 1, 0))
    between = (0.7, 0.66, 0.9)
    assert speakers.identify(voice(*between, duration_s=0.5)) == "Speaker 2"


def test_after_a_change_the_last_speaker_is_less_likely():
    speakers = book()
    speakers.identify(voice(1, 0, 0))
    speakers.identify(voice(0, 1, 0))
    between = (0.68, 0.7, 0.2)
    assert speakers.identify(voice(*between, changed=True)) == "Speaker 1"


def test_a_speaker_first_heard_briefly_is_learned_from_the_next_long_turn():
    speakers = book()
    speakers.identify(voice(1, 1.5, 0, duration_s=0.5))
    assert speakers.identify(voice(1, 0, 0)) == "Speaker 1"
    assert speakers.identify(voice(0.9, 0.1, 0)) == "Speaker 1"


def test_a_short_answer_to_a_change_is_one_of_those_known_or_a_new_one():
    """What overlapping talk leaves of a known voice in 0.8 s (cosines as measured on the telephone call)."""
    speakers = book()
    speakers.identify(voice(1, 0, 0, duration_s=0.9))
    assert speakers.identify(voice(0.32, 0.95, 0, duration_s=1.6, changed=True)) == "Speaker 2"
    assert speakers.identify(voice(0.23, 0.15, 0.96, duration_s=0.8, changed=True)) == "Speaker 1"


def test_the_floor_passes_to_somebody_else_however_short_the_turn():
    speakers = book()
    speakers.identify(voice(1, 0, 0))
    assert speakers.identify(voice(0.5, 0.8, 0.3, duration_s=0.6, changed=True)) == "Speaker 2"


def test_a_doubtful_turn_does_not_move_a_speaker():
    speakers = book()
    speakers.identify(voice(1, 0, 0))
    for _ in range(50):
        assert speakers.identify(voice(0.5, 0.866, 0)) == "Speaker 1"
    assert speakers.identify(voice(-0.2, 1, 0)) == "Speaker 2"


def test_further_voices_go_to_the_nearest_once_the_book_is_full():
    speakers = book(max_speakers=2)
    for v in (voice(1, 0, 0), voice(0, 1, 0), voice(0, 0.1, 1)):
        speakers.identify(v)
    assert speakers.names == ["Speaker 1", "Speaker 2"]


vectors = arrays(np.float32, 6, elements=st.floats(-1, 1, width=32)).filter(lambda v: np.linalg.norm(v) > 0.1)


@given(st.lists(st.tuples(vectors, st.floats(0.2, 20), st.booleans()), max_size=60))
def test_profiles_stay_capped_unit_and_names_never_change(turns):
    speakers = book(max_speakers=3)
    seen: list[str] = []
    for vector, duration_s, changed in turns:
        name = speakers.identify(VoiceSample(vector / np.linalg.norm(vector), duration_s, changed))
        assert speakers.names[: len(seen)] == seen
        seen = speakers.names
        assert name in seen
    assert len(seen) <= 3
    for profile in speakers._profiles:
        assert len(profile.modes) <= 4
        for mode in profile.modes:
            assert np.linalg.norm(mode) == pytest.approx(1, abs=1e-3)
