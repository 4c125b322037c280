import threading
from dataclasses import replace

import numpy as np
import pytest

from adapters.contract import MELD_LABELS, NEUTRAL, Absent, EmotionScores, LabelSet, TurnInput, Utterance
from tests.support.fakes import FakeClock, observed, scores
from tracker.dialogue import Dialogue
from tracker.observe.languages import LanguageHabit
from tracker.observe.observe import ChannelNamer, SpeechResult, TurnObserver
from tracker.observe.records import FailedTurn, ObservedTurn, Transcript
from tracker.observe.speakers import Merge
from tracker.observe.video.faces import no_faces
from tracker.recognise import JudgedTurn, Recognise, SilentTurn
from tracker.turns.turn import Turn

pytestmark = pytest.mark.anyio

HEARD = SpeechResult(Transcript("hello", "en"), Absent("voice under 0.8 s"))


def turn(number: int = 1, channel: int = 0) -> Turn:
    return Turn(number, channel, 0, 10**9, 2 * 10**9, "pause", 9 * 10**8, np.zeros(16_000, np.float32))


async def test_words_and_speaker_are_found_at_the_same_time():
    both_running = threading.Barrier(2, timeout=10)

    def listen(_: Turn) -> SpeechResult:
        both_running.wait()
        return HEARD

    class Namer(ChannelNamer):
        def __call__(self, _: Turn) -> str:
            both_running.wait()
            return "Speaker 7"

    seen = await TurnObserver(listen, Namer(), FakeClock(), no_faces("no camera"))(turn())
    assert isinstance(seen, ObservedTurn)
    assert (seen.transcript.text, seen.speaker, seen.video) == ("hello", "Speaker 7", Absent("no camera"))
    assert seen.took_ms["observe"] >= max(seen.took_ms["transcribe"], seen.took_ms["speaker"]) > 0


@pytest.mark.parametrize("which", ["listen", "name"])
async def test_a_model_that_fails_costs_its_turn_only(which):
    def fail(_: Turn) -> object:
        raise RuntimeError("out of memory\nand a long trace")

    listen = fail if which == "listen" else lambda _: HEARD
    name = fail if which == "name" else ChannelNamer()
    observer = TurnObserver(listen, name, FakeClock(), no_faces("no camera"))  # type: ignore[arg-type]
    for number in (1, 2):
        failed = await observer(turn(number))
        assert isinstance(failed, FailedTurn)
        assert (failed.turn.number, failed.detail) == (number, "RuntimeError: out of memory")


async def test_a_turn_is_heard_again_once_the_language_is_another():
    asked = []
    languages = LanguageHabit("en")

    def listen(given: Turn) -> SpeechResult:
        asked.append(languages.choose({"de": 0.9, "en": 0.1}))
        return SpeechResult(Transcript("hello", "de", odds={"de": 1.0} if given.number == 1 else {}), HEARD.audio)

    observer = TurnObserver(listen, ChannelNamer(), FakeClock(), no_faces("no camera"), languages=languages)
    for _ in range(2):
        await observer.speculate(turn())  # nothing is learned: heard once
    await observer(turn())
    assert asked == ["en"]
    await observer.speculate(turn())
    for _ in range(9):
        await observer(turn())
    await observer(turn(2))
    assert asked[-1] == "de"


async def test_what_was_heard_after_a_cut_belongs_to_what_is_remembered():
    asked = []

    def listen(given: Turn) -> SpeechResult:
        asked.append(len(given.after))
        return HEARD

    observer = TurnObserver(listen, ChannelNamer(), FakeClock(), no_faces("no camera"))
    for after in (0, 0, 320, 320):
        await observer.speculate(replace(turn(), after=np.zeros(after, np.float32)))
    assert asked == [0, 320]


def test_with_a_channel_each_the_speaker_is_the_channel():
    assert ChannelNamer()(turn(channel=2)) == "Speaker 3"


class ScriptedRecogniser:
    labels = MELD_LABELS

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[TurnInput] = []

    def start(self):
        return None

    def follow(self, turn: TurnInput, state: object):
        self.asked.append(turn)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return scores(answer), state


OTHERS = LabelSet.of("other", {"calm": NEUTRAL})
USED = {"text": "used", "audio": "used", "video": "used"}


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "TypeError: cannot unpack"),
        (({"joy": 1.0}, None), "TypeError: scores are dict of LabelSet, not EmotionScores of LabelSet"),
        ((EmotionScores(OTHERS, (1.0,), USED), None), "ValueError: scores are of calm, not of neutral, surprise"),
        (
            (EmotionScores(MELD_LABELS, (1.0, *[0.0] * 6), {"text": "used"}), None),
            "ValueError: scores do not say whether audio, video was used",
        ),
    ],
)
async def test_a_recogniser_that_returns_something_else_costs_the_turn_only(returned, said):
    script = ScriptedRecogniser("joy")
    script.follow = lambda turn, state: returned
    recognise = Recognise(script, Dialogue(10, 100, lambda utterance: len(utterance.text)), FakeClock())
    failed = await recognise(observed(turn(1), "hi"))
    assert failed.detail.startswith(said)
    del script.follow
    assert (await recognise(observed(turn(2), "ho"))).scores.label == "joy"


def test_probabilities_may_be_of_any_sequence():
    made = EmotionScores(MELD_LABELS, np.array([0, 1, 0, 0, 0, 0, 0], np.float32), USED)
    assert (made.label, made.probabilities[:2]) == ("surprise", (0.0, 1.0))


async def test_turns_are_judged_with_what_was_said_before():
    script = ScriptedRecogniser("joy", RuntimeError("lost"), "anger")
    recognise = Recognise(script, Dialogue(10, 100, lambda utterance: len(utterance.text)), FakeClock())
    first = await recognise(observed(turn(1), "hi"))
    second = await recognise(observed(turn(2), "no", "Speaker 2"))
    third = await recognise(observed(turn(3), "what"))
    assert isinstance(first, JudgedTurn)
    assert first.scores.label == "joy"
    assert isinstance(second, FailedTurn)
    assert second.detail == "RuntimeError: lost"
    assert isinstance(third, JudgedTurn)
    assert script.asked[0].history == ()
    # A turn that could not be judged was said all the same.
    assert script.asked[2].history == (Utterance("Speaker 1", "hi"), Utterance("Speaker 2", "no"))
    assert script.answers == []


async def test_a_turn_without_words_voice_or_face_is_not_judged():
    recognise = Recognise(ScriptedRecogniser(), Dialogue(10, 100, lambda utterance: len(utterance.text)), FakeClock())
    silent = await recognise(observed(turn(), ""))
    assert isinstance(silent, SilentTurn)
    assert silent.detail == "no words recognised; not tried; no camera"


async def test_speakers_who_are_one_are_told_with_the_next_turn_that_is_observed():
    merges, working = [Merge("Speaker 2", "Speaker 1")], False

    class Namer(ChannelNamer):
        def merged(self):
            return [merges.pop()] if merges else []

        def person(self, speaker, /):
            return f"{speaker}'s name"

    def listen(_: Turn) -> SpeechResult:
        if not working:
            raise RuntimeError("out of memory")
        return HEARD

    observer = TurnObserver(listen, Namer(), FakeClock(), no_faces("no camera"))
    assert isinstance(await observer(turn(1)), FailedTurn)
    working = True
    assert (await observer.speculate(turn(2))).merged == ()
    seen = [await observer(turn(number)) for number in (2, 3)]
    assert [one.merged for one in seen] == [(Merge("Speaker 2", "Speaker 1"),), ()]
    assert {one.person for one in seen} == {"Speaker 1's name"}
