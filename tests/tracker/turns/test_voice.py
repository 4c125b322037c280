from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from adapters.features.sounds import SoundDetector
from tests.support.command import telephone
from tracker.turns.voice import FRAME_SAMPLES, Laughs, Loudness, VoiceDetector, _Wordless, audible


def gains(*frames: tuple[float, bool]) -> list[float]:
    loudness = Loudness()
    return [loudness.gain(peak, voiced) for peak, voiced in frames]


def test_sound_that_has_been_quiet_for_a_second_is_amplified():
    assert gains(*[(0.001, False)] * 60) == pytest.approx([1] * 50 + [30] * 10)


@pytest.mark.parametrize("frame", [(0.2, False), (0.01, True), (0.0, False)])
def test_loud_enough_or_silent_sound_is_not(frame):
    assert set(gains(*[frame] * 200)) == {1}


def test_what_was_loud_and_no_voice_is_forgotten_in_seconds_and_a_voice_never():
    after = [(0.001, False)] * 3000
    assert gains((0.5, False), *after)[-1] == pytest.approx(30)
    assert set(gains((0.5, True), *after)) == {1}


def test_nothing_is_amplified_beyond_the_noise_of_16_bits():
    assert gains(*[(1e-5, False)] * 60)[-1] == 100


def test_a_turn_is_amplified_where_it_could_not_be_understood():
    turn = np.array([0.5, -0.25], np.float32)
    np.testing.assert_array_equal(audible(turn), turn)
    np.testing.assert_allclose(audible(turn / 500), [0.03, -0.015], rtol=1e-6)
    assert len(audible(turn[:0])) == 0


def voiced(samples: np.ndarray) -> int:
    detector = VoiceDetector(2, 0.5)
    in_16_bits = (np.rint(samples * 32768) / 32768).astype(np.float32)
    return sum(detector.frame(frame).voiced for frame in in_16_bits.reshape(-1, FRAME_SAMPLES))


@pytest.mark.models
@pytest.mark.parametrize("down_db", [0, 44, 50])
def test_a_voice_is_found_however_quiet_it_is(down_db):
    call, _ = soundfile.read(telephone(), frames=12 * 16_000, dtype="float32")
    assert voiced(call * 10 ** (-down_db / 20)) == pytest.approx(voiced(call), rel=0.1)


@pytest.mark.parametrize("level", [0.01, 1e-3, 1e-4])
def test_noise_is_no_voice_however_much_it_is_amplified(level):
    assert voiced(level * np.random.default_rng(0).uniform(-1, 1, 5 * 16_000)) == 0


@given(st.floats(1e-6, 1.0), st.floats(1e-6, 1.0))
def test_the_sound_around_a_turn_is_amplified_as_the_turn_is(turn, around):
    mine, others = np.full(8, turn, np.float32), np.full(8, around, np.float32)
    gain = audible(mine)[0] / mine[0]
    assert audible(others, of=mine) == pytest.approx(np.minimum(others * gain, 1), rel=1e-5)
    assert not len(audible(others[:0], of=mine))


def _looks(voice: list[bool], speech: list[bool], laughs: bool = True) -> tuple[list[int], list[bool]]:
    """At which frames the network was asked, and what was said of each frame."""
    asked: list[int] = []
    said: list[bool] = []

    def answer(samples: np.ndarray) -> bool:
        assert len(samples) == 48 * FRAME_SAMPLES
        asked.append(len(said))
        return laughs

    wordless = _Wordless(answer)
    said.extend(wordless.feed(np.zeros(FRAME_SAMPLES, np.float32), *frame) for frame in zip(voice, speech, strict=True))
    return asked, said


def test_laughter_is_looked_for_where_there_is_a_voice_without_speech():
    asked, said = _looks([True] * 200, [False] * 200)
    assert asked == list(range(47, 200, 24))
    assert not any(said[:47])
    assert all(said[47:])


@pytest.mark.parametrize(("voice", "speech"), [(True, True), (False, False)])
def test_neither_in_speech_nor_in_silence(voice, speech):
    asked, said = _looks([voice] * 200, [speech] * 200)
    assert not asked
    assert not any(said)


def test_what_is_no_laughter_is_no_voice_and_laughter_ends():
    assert not any(_looks([True] * 200, [False] * 200, laughs=False)[1])
    asked, said = _looks([True] * 60 + [False] * 140, [False] * 200)
    assert said[asked[-1]]
    assert not any(said[asked[-1] + 24 :])


@pytest.mark.models
@pytest.mark.data
def test_people_who_laugh_are_heard(data_dir):
    detector = SoundDetector()

    def found(path: Path, laughs: Laughs | None) -> int:
        samples, _ = soundfile.read(path, dtype="float32")
        frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
        voices = VoiceDetector(2, 0.5, laughs)
        return sum(voices.frame(frame).voiced for frame in frames)

    laughing = sorted((data_dir / "nonverbal" / "laughing").iterdir())
    with_it, without = (sum(found(path, laughs) for path in laughing) for laughs in (detector.emotional, None))
    assert with_it > 2 * without
    talk = data_dir / "meetings" / "trn03.flac"
    assert found(talk, detector.emotional) == found(talk, None)
