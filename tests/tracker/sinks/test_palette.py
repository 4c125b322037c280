import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tracker.recordings.report.plots import fills
from tracker.sinks.palette import EMOTIONS, LETTERS, emotion_colour, letter

MELD = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
EMORYNLP = ("neutral", "joyful", "peaceful", "powerful", "scared", "mad", "sad")
IEMOCAP = ("neutral", "happy", "sad", "angry", "excited", "frustrated")


def test_known_emotions_look_as_ever():
    assert {label: letter(label, MELD) for label in MELD} == LETTERS
    assert {label: emotion_colour(label, MELD) for label in MELD} == EMOTIONS


@pytest.mark.parametrize("labels", [MELD, EMORYNLP, IEMOCAP])
def test_no_two_labels_look_the_same(labels):
    for looks in (letter, emotion_colour):
        assert len({looks(label, labels) for label in labels}) == len(labels)
    assert len(set(fills(labels).values())) == len(labels)
    assert letter("neutral", labels) == "n"
    assert emotion_colour("neutral", labels) == ""


def test_another_name_of_a_known_emotion_has_its_colour_and_a_letter_of_its_own():
    assert [letter(label, EMORYNLP) for label in EMORYNLP] == ["n", "J", "P", "O", "S", "M", "A"]
    assert [letter(label, IEMOCAP) for label in IEMOCAP] == ["n", "H", "S", "A", "E", "F"]
    assert emotion_colour("scared", EMORYNLP) == EMOTIONS["fear"]
    assert (
        emotion_colour("sad", ("sad", "sadness"))
        == EMOTIONS["sadness"]
        != emotion_colour("sadness", ("sad", "sadness"))
    )


@given(st.lists(st.text(max_size=8), unique=True, max_size=40))
def test_any_labels_have_letters_of_their_own(labels):
    letters = [letter(label, labels) for label in labels]
    assert len(set(letters)) == len(labels)
    assert all(cell_len(one) == 1 for one in letters)
    assert len(fills(labels)) == len(labels)
