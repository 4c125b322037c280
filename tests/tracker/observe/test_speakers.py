from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tracker.observe.speakers import EnrolledVoice, Merge, SpeakerRegistry, VoiceSample


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


CALM, ANGRY, BETWEEN = (1, 0, 0), (0.41, 0.912, 0), (0.8, 0.6, 0)


def test_a_speaker_whom_an_emotion_split_in_two_is_put_together_by_a_voice_between():
    speakers = book()
    assert [speakers.identify(voice(*one)) for one in (CALM, ANGRY)] == ["Speaker 1", "Speaker 2"]
    assert speakers.merges == []
    assert speakers.identify(voice(*BETWEEN)) == "Speaker 1"
    assert speakers.merges == [Merge("Speaker 2", "Speaker 1")]
    assert speakers.identify(voice(*ANGRY)) == "Speaker 1"
    assert speakers.identify(voice(0, 0, 1)) == "Speaker 3"  # a name is given once


@pytest.mark.parametrize("between", [{"duration_s": 0.8}, {"changed": True}, {"overlapped": True}])
def test_no_speakers_are_put_together_by_a_short_turn_an_interruption_or_two_voices_at_once(between):
    speakers = book()
    for one in (CALM, ANGRY):
        speakers.identify(voice(*one))
    speakers.identify(replace(voice(*BETWEEN), **between))
    assert speakers.names == ["Speaker 1", "Speaker 2"]


def test_two_people_between_whom_a_voice_lies_stay_two():
    speakers = book()
    for one in ((1, 0, 0), (0.2, 0.98, 0), (0.75, 0.66, 0)):
        speakers.identify(voice(*one))
    assert speakers.names == ["Speaker 1", "Speaker 2"]


def enrolled(name: str, *coordinates: float) -> EnrolledVoice:
    return EnrolledVoice(name, voice(*coordinates).embedding)


def test_an_enrolled_voice_is_known_from_its_first_long_turn():
    speakers = book(enrolled=[enrolled("Anna", 1, 0, 0), enrolled("Ben", 0, 1, 0)])
    assert speakers.identify(voice(0, 0, 1)) == "Speaker 1"
    assert speakers.guess(voice(0.1, 1, 0)) == "Speaker 2"
    assert speakers.identify(voice(0.1, 1, 0)) == "Speaker 2"
    assert [speakers.person(name) for name in ("Speaker 1", "Speaker 2", "Speaker 3")] == [None, "Ben", None]
    assert speakers.identify(voice(1, 0, 0, duration_s=0.5, changed=True)) == "Speaker 3"
    assert speakers.person("Speaker 3") is None  # too short to say whose voice it is
    assert speakers.identify(voice(1, 0.1, 0)) == "Speaker 3"
    assert speakers.person("Speaker 3") == "Anna"


def test_a_speaker_who_is_found_to_be_enrolled_keeps_the_number():
    speakers = book(enrolled=[enrolled("Anna", 1, 0, 0)])
    assert speakers.identify(voice(0.75, 0.66, 0, duration_s=1.0)) == "Speaker 1"
    assert speakers.identify(voice(0.95, 0.3, 0)) == "Speaker 1"
    assert (speakers.person("Speaker 1"), speakers.merges) == ("Anna", [])
    assert speakers.identify(voice(0, 0, 1)) == "Speaker 2"


def test_nobody_else_gets_the_name_of_an_enrolled_voice():
    speakers = book(enrolled=[enrolled("Anna", 1, 0, 0)])
    assert speakers.identify(voice(0, 1, 0)) == "Speaker 1"
    assert speakers.identify(voice(0.8, 0.5, 0.33)) == "Speaker 2"  # nearer to the enrolled voice
    assert [speakers.person(name) for name in ("Speaker 1", "Speaker 2")] == [None, "Anna"]


def test_people_who_are_enrolled_are_never_put_together_and_a_full_book_stays_full():
    near = [enrolled("Anna", 1, 0.3, 0), enrolled("Ben", 0.3, 1, 0)]
    speakers = book(enrolled=near)
    for turn in (voice(1, 0.2, 0), voice(0.2, 1, 0), voice(1, 1, 0), voice(0.9, 1, 0), voice(1, 0.9, 0)):
        speakers.identify(turn)
    assert [speakers.person(name) for name in speakers.names] == ["Anna", "Ben"]
    assert speakers.merges == []
    full = book(max_speakers=1, enrolled=near)
    assert {full.identify(turn) for turn in (voice(1, 0.2, 0), voice(0.2, 1, 0))} == {"Speaker 1"}


vectors = arrays(np.float32, 6, elements=st.floats(-1, 1, width=32)).filter(lambda v: np.linalg.norm(v) > 0.1)


@given(st.lists(st.tuples(vectors, st.floats(0.2, 20), st.booleans()), max_size=60))
def test_profiles_stay_capped_unit_and_names_are_never_given_again(turns):
    speakers = book(max_speakers=3)
    seen: list[str] = []
    for vector, duration_s, changed in turns:
        name = speakers.identify(VoiceSample(vector / np.linalg.norm(vector), duration_s, changed))
        gone = {merge.speaker for merge in speakers.merges}
        assert speakers.names[: len(seen)] == [one for one in seen if one not in gone]
        seen = speakers.names
        assert name in seen
        assert not gone & set(seen)
        assert all(merge.into in {*seen, *gone} for merge in speakers.merges)
    assert len(seen) <= 3
    for profile in speakers._profiles:
        assert len(profile.modes) <= 8
        for mode in profile.modes:
            assert np.linalg.norm(mode) == pytest.approx(1, abs=1e-3)
