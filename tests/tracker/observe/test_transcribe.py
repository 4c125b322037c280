import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.observe.transcribe import TextGate, repeats

GATE = TextGate()


@pytest.mark.parametrize("text", ["", " ", "...", "♪", "- -"])
def test_marks_are_no_words(text):
    assert GATE.rejection(text, 0.0, 0.0) == "no words recognised"


def test_no_speech_counts_only_with_a_doubtful_text():
    assert GATE.rejection("Thank you.", 0.9, -0.2) is None
    assert GATE.rejection("Thank you.", 0.1, -2.0) is None
    assert GATE.rejection("Thank you.", 0.9, -2.0) == "no words recognised"


def test_a_text_that_goes_round_in_circles_is_not_believed():
    assert GATE.rejection("and then we went to the " * 20, 0.0, -0.1) == "words not understood"


@pytest.mark.parametrize(
    "text", ["Hello? Hello? Hello!", "No, no, no.", "in the summary section we see in the summary section we see"]
)
def test_repetition_is_noticed(text):
    assert repeats(text)


@pytest.mark.parametrize("text", ["", "No, no.", "I know that you know that I know.", "On the one hand, on the other"])
def test_ordinary_speech_is_not_repetition(text):
    assert not repeats(text)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=40, unique=True))
def test_different_words_are_never_repetition(words):
    assert not repeats(" ".join(f"w{word}" for word in words))
