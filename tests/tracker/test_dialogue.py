from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Utterance
from tracker.dialogue import Dialogue

utterances = st.builds(Utterance, speaker=st.sampled_from(["Speaker 1", "Speaker 2"]), text=st.text("ab ", max_size=30))


@given(st.lists(utterances, max_size=40), st.integers(0, 6), st.integers(1, 60))
def test_a_history_is_the_end_of_what_was_said_within_its_bounds(said, max_turns, max_tokens):
    dialogue = Dialogue(max_turns, max_tokens, len)
    for utterance in said:
        dialogue.add(utterance)
    history = dialogue.history()
    with_words = [utterance for utterance in said if utterance.text]
    assert list(history) == with_words[len(with_words) - len(history) :]
    assert len(history) <= max_turns
    tokens = [len(f"{u.speaker}: {u.text}") for u in history]
    assert sum(tokens) <= max_tokens or len(history) == 1
