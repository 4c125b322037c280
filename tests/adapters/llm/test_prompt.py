"""How a dialogue is written down."""

from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Utterance
from adapters.llm.prompt import Prompter, PromptSpec, anonymise, normalise_text
from tests.support.tiny import byte_tokenizer

TOKENIZER = byte_tokenizer()
utterances = st.lists(
    st.builds(Utterance, st.sampled_from(["Ann", "Bob", "Speaker 7", ""]), st.text(max_size=30)), min_size=1, max_size=8
)


def prompter(max_tokens: int = 10_000, max_words: int = 128) -> Prompter:
    return Prompter(TOKENIZER, PromptSpec("<s>", max_tokens, max_words))


def test_the_layout_as_text() -> None:
    layout = prompter().layout([Utterance("Bob", "Hi."), Utterance("Ann", "You’re late!"), Utterance("Bob", "Am I?")])
    assert TOKENIZER.decode(layout.ids) == "<s>Speaker 1: Hi.\nSpeaker 2: You're late!\nSpeaker 1: Am I?\n"


def test_spans_hold_each_turns_own_words() -> None:
    layout = prompter().layout([Utterance("Bob", "Hi."), Utterance("Ann", ""), Utterance("Cy", "Well  then.")])
    words = [TOKENIZER.decode(layout.ids[start:end]) for start, end in layout.spans]
    assert words == [" Hi.", "", " Well then."]


def test_names_do_not_matter() -> None:
    first = [Utterance("Ross", "Hi."), Utterance("Rachel", "Hi.")]
    second = [Utterance("Speaker 9", "Hi."), Utterance("Speaker 2", "Hi.")]
    assert anonymise(first) == anonymise(second)
    assert prompter().layout(first).ids.equal(prompter().layout(second).ids)


def test_old_turns_fall_away_whole_and_speakers_are_numbered_anew() -> None:
    dialogue = [Utterance("Ann", "one " * 20), Utterance("Bob", "two"), Utterance("Cy", "three")]
    layout = prompter(max_tokens=40).layout(dialogue)
    assert TOKENIZER.decode(layout.ids) == "<s>Speaker 1: two\nSpeaker 2: three\n"


def test_the_last_turn_is_kept_and_cut() -> None:
    layout = prompter(max_tokens=5, max_words=10).layout([Utterance("Ann", "a" * 50)])
    assert TOKENIZER.decode(layout.ids) == "<s>Speaker 1: " + "a" * 9 + "\n"


@given(utterances)
def test_a_later_turn_changes_nothing_before_it(dialogue: list[Utterance]) -> None:
    whole, part = prompter().layout(dialogue), prompter().layout(dialogue[:-1] or dialogue)
    assert whole.ids[: len(part.ids)].equal(part.ids)
    assert whole.spans[: len(part.spans)] == part.spans


@given(utterances, st.integers(1, 200))
def test_spans_are_for_the_turns_that_fit(dialogue: list[Utterance], max_tokens: int) -> None:
    layout = prompter(max_tokens).layout(dialogue)
    assert 1 <= len(layout.spans) <= len(dialogue)
    assert layout.spans[-1][1] <= len(layout.ids)


def test_plain_text() -> None:
    assert normalise_text("“Don’t…”\n – he said") == '"Don\'t..." - he said'
