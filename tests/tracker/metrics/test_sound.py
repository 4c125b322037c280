import numpy as np
import pytest

from tests.support.sessions import Script
from tracker.events import SessionEnded
from tracker.metrics.sound import SoundCheck, repetition
from tracker.observe.records import Transcript
from tracker.sources.media import RATE_HZ, AudioChunk
from tracker.turns.turn import ChannelRepeats

FAINT, LOUD, SILENT = -57.0, -20.0, -200.0


def heard(*levels_db: float, live: bool = False) -> tuple[SoundCheck, list[str]]:
    """A second of sound at each of these levels, below full scale, and what was said meanwhile."""
    check = SoundCheck(live)
    parts = [np.full(RATE_HZ, 10 ** (level / 20), np.float32) for level in levels_db]
    said = [check.hear(AudioChunk(0, second * RATE_HZ, part)) for second, part in enumerate(parts)]
    return check, [sentence for sentence in said if sentence]


def ended(turns: int = 0, skipped: int = 0, **changed: object) -> SessionEnded:
    script = Script().start()
    for _ in range(turns):
        script.says(1, 2, "Speaker 1", "Hello.")
    for _ in range(skipped):
        script.skips(3, 4)
    last = script.end(20, **changed)[-1]
    assert isinstance(last, SessionEnded)
    return last


def test_very_quiet_sound_is_said_once():
    check, said = heard(*[FAINT] * 30)
    assert len(said) == 1
    assert "very quiet" in said[0]
    assert "-57 dBFS" in said[0]
    assert check.conclusion(ended(turns=2), 0) == ""


def test_very_quiet_sound_that_ends_soon_is_said_at_its_end():
    check, said = heard(FAINT, FAINT)
    assert said == []
    assert "very quiet" in check.conclusion(ended(turns=1), 0)


@pytest.mark.parametrize("levels", [[LOUD] * 20, [FAINT] * 9 + [LOUD] * 20, [SILENT] * 30, []])
def test_nothing_is_said_of_other_sound(levels):
    check, said = heard(*levels)
    assert said == []
    if LOUD in levels:
        assert check.conclusion(ended(turns=1), 0) == ""


def test_a_microphone_that_gives_nothing_but_silence_is_said_while_it_does():
    _, said = heard(*[SILENT] * 30, live=True)
    assert len(said) == 1
    assert "muted" in said[0]


@pytest.mark.parametrize(
    ("levels", "skipped", "without_words", "why"),
    [
        ([SILENT] * 3, 0, 0, "silence"),
        ([FAINT] * 3, 0, 0, "very quiet"),
        ([LOUD] * 3, 0, 0, "music or noise"),
        ([LOUD] * 3, 2, 2, "another language"),
        ([LOUD] * 3, 2, 1, ""),  # a model has failed, as the events say
    ],
)
def test_a_session_without_turns_says_why_it_may_be(levels, skipped, without_words, why):
    check, _ = heard(*levels)
    sentence = check.conclusion(ended(skipped=skipped), without_words)
    assert why in sentence
    assert bool(why) == bool(sentence)


def test_a_session_that_heard_nothing_or_was_aborted_says_nothing():
    check, _ = heard(LOUD)
    assert check.conclusion(ended(outcome="aborted"), 0) == ""
    assert check.conclusion(ended(media_ns=0), 0) == ""


def test_a_repetition_is_told_by_numbers_as_people_count_them():
    assert "channels 1 and 2 are the same" in repetition(ChannelRepeats(1, 0, -0.2, 0))
    told = repetition(ChannelRepeats(0, 1, -12.3, 60))
    assert "channel 2 is also heard in channel 1, quieter and 60 ms later" in told


def test_another_language_is_told_once():
    check = SoundCheck(live=False)
    assert check.understood(Transcript("Hello.", "en")) == ""
    sentence = check.understood(Transcript("", "en", "words not understood", seems="de"))
    assert 'Set transcribe.language = "de", or "auto"' in sentence
    assert check.understood(Transcript("", "en", "words not understood", seems="de")) == ""
