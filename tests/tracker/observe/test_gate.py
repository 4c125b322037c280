import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.observe.gate import Decoded, TextGate, repeats, twice, unlooped

GATE = TextGate()


def decoded(text, no_speech=0.0, logprob=-0.1, complete=True, seconds=6.0):
    return Decoded(text, no_speech, logprob, complete, seconds)


@pytest.mark.parametrize("text", ["", " ", "...", "♪", "- -"])
def test_marks_are_no_words(text):
    assert GATE.rejection(decoded(text)) == "no words recognised"


def test_no_speech_counts_only_with_a_doubtful_text():
    assert GATE.rejection(decoded("Thank you.", 0.9, -0.2)) is None
    assert GATE.rejection(decoded("Thank you.", 0.1, -1.5)) is None
    assert GATE.rejection(decoded("Thank you.", 0.9, -2.0)) == "no words recognised"


def test_a_guess_is_not_believed():
    assert GATE.rejection(decoded("So.", 0.4, -2.2)) == "words not understood"
    assert GATE.rejection(decoded("Hello?", 0.14, -1.9)) is None


@pytest.mark.parametrize("how", [{"complete": False}, {"seconds": 10.0}])
def test_a_text_that_goes_round_in_circles_is_not_believed(how):
    assert GATE.rejection(decoded("and then we went to the " * 20, **how)) == "words not understood"


@pytest.mark.parametrize("text", ["Leave me alone, " * 5, "No! " * 14, "Stop it, " * 7])
def test_what_can_have_been_said_again_and_again_is_believed(text):
    assert GATE.rejection(decoded(text, seconds=7.0)) is None


@pytest.mark.parametrize(
    "text", ["Hello? Hello? Hello!", "No, no, no.", "in the summary section we see in the summary section we see"]
)
def test_repetition_is_noticed(text):
    assert repeats(text)


@pytest.mark.parametrize(("text", "so"), [("I see. I see.", True), ("No, no!", True), ("no no no", False), ("", False)])
def test_words_that_came_twice_are_noticed(text, so):
    assert twice(text) == so
    assert decoded(text).cramped or not so


@pytest.mark.parametrize("text", ["", "No, no.", "I know that you know that I know.", "On the one hand, on the other"])
def test_ordinary_speech_is_not_repetition(text):
    assert not repeats(text)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=40, unique=True))
def test_different_words_are_never_repetition(words):
    text = " ".join(f"w{word}" for word in words)
    assert not repeats(text)
    assert unlooped(text, 0.1) == text


@pytest.mark.parametrize(
    ("text", "seconds", "left"),
    [
        ("Go, " * 40 + "go", 4.0, "Go," + " Go," * 10 + " Go"),
        ("Well, stop it, " + "stop it, " * 30, 5.0, "Well," + " stop it," * 6 + " stop it"),
        ("Leave me alone, " * 20 + "leave me", 6.0, "Leave me alone," + " Leave me alone," * 4 + " Leave me alone"),
        ("no " * 50, 0.1, "no"),
    ],
)
def test_a_loop_is_cut_down_to_what_there_was_time_for(text, seconds, left):
    assert unlooped(text, seconds) == left


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), st.integers(4, 50), st.floats(0.1, 30))
def test_a_loop_ends_with_a_whole_round(unit, rounds, seconds):
    words = unlooped(" ".join(unit * rounds), seconds).split()
    assert words == (unit * rounds)[: len(words)]
    assert len(words) <= max(len(unit), 3 * seconds, 4)
