"""Words, their times and their language, by the real models on real and synthetic speech."""

import shutil
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import soxr

from tests.support.command import asset
from tracker.bench.asr_copy import speak
from tracker.observe.gate import TextGate
from tracker.observe.languages import LanguageHabit
from tracker.observe.transcribe import AUTO, Transcriber

pytestmark = pytest.mark.models

RATE = 16_000


@pytest.fixture(scope="module")
def telephone():
    return soundfile.read(asset("telephone-sample") / "sample.wav", dtype="float32")[0]


@pytest.fixture(scope="module")
def base():
    return Transcriber(asset("whisper-base"), "en", TextGate(), beam=5)


@pytest.fixture
def german(data_dir):
    path = min((data_dir / "emodb").rglob("*.*"), key=lambda path: (path.suffix not in (".wav", ".flac"), path))
    samples, rate = soundfile.read(path, dtype="float32")
    return soxr.resample(samples, rate, RATE).astype(np.float32)


def test_words_come_with_their_times(telephone, base):
    heard = base(telephone[18 * RATE : 22 * RATE], words=True)
    assert " ".join(word.text for word in heard.words) == heard.text
    times = [at for word in heard.words for at in (word.start_ns, word.end_ns)]
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] <= 4e9
    ends = {word.text.strip(",."): word.end_ns / 1e9 for word in heard.words}
    assert (ends["Chicago"], ends["Jersey"]) == (pytest.approx(1.5, abs=0.15), pytest.approx(2.8, abs=0.15))
    assert all(0 <= word.confidence <= 1 for word in heard.words)
    assert base(telephone[18 * RATE : 22 * RATE]) == type(heard)(heard.text, "en")  # nothing that was not asked for


def test_what_is_heard_after_a_cut_is_left_to_the_next_turn(telephone, base):
    begin, cut, beyond = (round(at * RATE) for at in (18.05, 20.0, 21.5))
    whole = base(telephone[begin:beyond], words=True)
    first = base(telephone[begin:cut], around=(telephone[:0], telephone[cut:beyond]), words=True)
    said_before = [word.text for word in whole.words if word.start_ns + word.end_ns <= 2 * 1.95e9]
    assert first.text.split() == [word.text for word in first.words] == said_before
    assert all(before.end_ns <= after.start_ns for before, after in pairwise(first.words))
    assert first.words[-1].end_ns <= 1.95e9


def test_a_word_that_began_before_a_change_of_speaker_is_heard(telephone, base):
    """The call at 14.5 s: "in New Jersey" and "And I'm Sheila" overlap."""
    ahead, cut, end = (round(at * RATE) for at in (14.3, 14.5, 18.0))
    heard = base(telephone[cut:end], around=(telephone[ahead:cut], telephone[:0]), words=True)
    assert heard.text.startswith("And I'm Sheila")
    assert heard.words[0].start_ns == 0
    assert heard.words[-1].end_ns <= 3.5e9
    assert not base(telephone[cut:end]).text.startswith("And I'm Sheila")  # else this shows nothing


@pytest.mark.parametrize("times", [3, 5])
@pytest.mark.parametrize("cry", ["Leave me alone", "Stop it"])
def test_what_is_said_again_and_again_is_heard_so_often(base, cry, times):
    if not shutil.which("espeak-ng"):
        pytest.skip("no espeak-ng: install Debian's espeak-ng")
    heard = base(speak(", ".join([cry] * times), "Monica"))
    assert heard.why_empty is None
    assert heard.text.lower().count(cry[:4].lower()) == times


@pytest.mark.parametrize("said", ["Stop!", "I see.", "Hi.", "Yes. Yes."])
def test_a_short_word_is_heard_as_often_as_it_was_said(base, said):
    if not shutil.which("espeak-ng"):
        pytest.skip("no espeak-ng: install Debian's espeak-ng")
    heard = base(speak(said, "Monica")).text
    assert [word.strip(".,!") for word in heard.lower().split()] == [word.strip(".!") for word in said.lower().split()]


def test_another_language_than_the_declared_one_is_not_understood(german, base):
    heard = base(german, choose=LanguageHabit("en").choose)
    assert (heard.text, heard.why_empty, heard.seems) == ("", "words not understood", "de")


def test_a_language_is_told_and_translated(german):
    auto = Transcriber(asset("whisper-base"), AUTO, TextGate(), beam=5, translate=True)
    heard = auto(german, choose=LanguageHabit().choose)
    assert (heard.language, heard.seems) == ("de", None)
    assert heard.text
    assert heard.text_en
    assert heard.text != heard.text_en == heard.readable


def test_english_stays_english(telephone, base):
    heard = base(telephone[int(7.4 * RATE) : int(8.2 * RATE)], choose=LanguageHabit("en").choose)
    assert heard.text.startswith("Hello")
