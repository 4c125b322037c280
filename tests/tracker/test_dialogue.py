from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Utterance
from tracker.dialogue import Dialogue

utterances = st.builds(Utterance, speaker=st.sampled_from(["Speaker 1", "Speaker 2"]), text=st.text("ab ", max_size=30))


def length(utterance: Utterance) -> int:
    return len(f"{utterance.speaker}: {utterance.text}")


@given(st.lists(utterances, max_size=40), st.integers(0, 6), st.integers(1, 200))
def test_a_history_is_the_end_of_what_was_said_within_its_bounds(said, max_turns, max_tokens):
    dialogue = Dialogue(max_turns, max_tokens, length)
    with_words: list[Utterance] = []
    before: tuple[Utterance, ...] = ()
    for utterance in said:
        history = dialogue.before(utterance)
        assert history == dialogue.before(utterance)  # to look is not to remember
        assert list(history) == with_words[len(with_words) - len(history) :]
        assert len(history) <= max_turns
        assert not history or sum(map(length, history)) + length(utterance) <= max_tokens
        grown = history[: len(before)] == before
        assert grown or len(history) <= max_turns // 2
        before = history
        dialogue.add(utterance)
        with_words += [utterance] if utterance.text else []


def test_a_full_history_loses_its_older_half_at_once():
    dialogue = Dialogue(4, 1000, length)
    lengths = []
    for number in range(12):
        utterance = Utterance("Ann", f"{number}")
        lengths.append(len(dialogue.before(utterance)))
        dialogue.add(utterance)
    assert lengths == [0, 1, 2, 3, 4, 2, 3, 4, 2, 3, 4, 2]


def test_what_somebody_said_under_two_names_becomes_one_person_s():
    dialogue = Dialogue(4, 1000, length)
    for speaker in ("Ann", "Bob", "Cy"):
        dialogue.add(Utterance(speaker, "so"))
    dialogue.merge("Cy", "Ann")
    assert [one.speaker for one in dialogue.before(Utterance("Bob", "no"))] == ["Ann", "Bob", "Ann"]
