"""Sounds beside words, and words that nobody said in them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import EMOTIONAL, MELD_LABELS, SOUNDS, Absent, DialogueState, EmotionScores, Sound
from adapters.features.sounds import KINDS
from adapters.readout.sounds import FACTORS
from tests.support.fakes import FakeClock, observed, scores
from tracker.dialogue import Dialogue
from tracker.observe.observe import ChannelNamer, SpeechResult, TurnObserver
from tracker.observe.records import ObservedTurn, Transcript
from tracker.observe.sounds import believed
from tracker.observe.video.faces import no_faces
from tracker.recognise import JudgedTurn, Recognise, SilentTurn
from tracker.turns.turn import Turn

LAUGH = Sound("laughter", 0.0, 0.9, 0.9)
TURN = Turn(1, 0, 0, 10**9, 2 * 10**9, "pause", 9 * 10**8, np.zeros(16_000, np.float32))
SAID = Transcript("So that is what you want.", "en", text_en="The same.")


def test_words_of_a_turn_that_is_all_laughter_are_not_believed() -> None:
    heard = believed(SAID, [LAUGH], 1.0)
    assert (heard.text, heard.text_en, heard.words) == ("", None, ())
    assert heard.why_empty == "laughter, no words"


def test_words_beside_laughter_are_believed() -> None:
    assert believed(SAID, [LAUGH], 3.0) == SAID
    assert believed(SAID, [], 0.5) == SAID


def test_one_or_two_words_are_believed_less() -> None:
    few = replace(SAID, text="So...")
    assert believed(few, [LAUGH], 2.0).text == ""
    assert believed(few, [LAUGH], 3.0) == few


@given(st.text(), st.lists(st.floats(0.1, 2.0), max_size=3), st.floats(0.1, 20.0))
def test_either_all_words_are_believed_or_none(text: str, lengths: list[float], seconds: float) -> None:
    said = Transcript(text, "en", why_empty=None if text else "no words recognised")
    heard = believed(said, [Sound("cough", 0.0, length, 0.5) for length in lengths], seconds)
    assert heard == said or (heard.text == "" and heard.why_empty == "cough, no words")


@pytest.mark.anyio
async def test_sounds_of_a_turn_are_looked_for_once() -> None:
    asked: list[int] = []

    def find(samples: np.ndarray) -> list[Sound]:
        asked.append(len(samples))
        return [LAUGH]

    observer = TurnObserver(
        lambda _: SpeechResult(SAID, Absent("voice under 0.8 s")),
        ChannelNamer(),
        FakeClock(),
        no_faces("no camera"),
        sounds=find,
    )
    for seen in (await observer.speculate(TURN), await observer(TURN)):
        assert isinstance(seen, ObservedTurn)
        assert seen.sounds == (LAUGH,)
        assert seen.transcript.why_empty == "laughter, no words"
    assert asked == [16_000]


@pytest.mark.anyio
@pytest.mark.parametrize(("label", "kind"), [("cough", SilentTurn), ("laughter", JudgedTurn)])
async def test_a_turn_with_nothing_but_a_cough_is_not_judged(label: str, kind: type) -> None:
    class Judge:
        labels = MELD_LABELS

        def start(self) -> DialogueState:
            return DialogueState()

        def follow(self, _turn: object, state: DialogueState) -> tuple[EmotionScores, DialogueState]:
            return scores("joy"), state

    recognise = Recognise(Judge(), Dialogue(9, 99, lambda _: 1), FakeClock())
    silent = Transcript("", "en", why_empty=f"{label}, no words")
    seen = replace(observed(TURN), transcript=silent, audio=Absent("short"), video=Absent("no camera"))
    assert isinstance(await recognise(replace(seen, sounds=(Sound(label, 0.0, 1.0, 0.9),))), kind)


def test_each_sound_that_tells_of_an_emotion_says_of_which() -> None:
    assert set(FACTORS) == set(EMOTIONAL) <= set(KINDS) == set(SOUNDS)
    assert all(set(factors) <= set(MELD_LABELS.labels) for factors in FACTORS.values())
