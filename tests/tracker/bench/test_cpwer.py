"""Word errors counted by speaker."""

from hypothesis import given
from hypothesis import strategies as st

from tracker.bench.cpwer import fewest_errors, reference_words

speakers = st.dictionaries(st.sampled_from("abc"), st.lists(st.sampled_from(["yes", "no", "well"]), max_size=5))


@given(speakers, st.randoms())
def test_speakers_have_no_names_and_order(said, random):
    renamed = [f"Speaker {number}" for number in range(len(said))]
    random.shuffle(renamed)
    assert fewest_errors(said, dict(zip(renamed, said.values(), strict=True))) == 0


@given(speakers)
def test_who_hears_nothing_gets_every_word_wrong(said):
    assert fewest_errors(said, {}) == fewest_errors({}, said) == sum(map(len, said.values()))


def test_words_count_for_the_right_speaker():
    said = {"ann": ["so", "it", "is"], "bob": ["no"]}
    assert fewest_errors(said, {"1": ["no"], "2": ["so", "it"]}) == 1
    assert fewest_errors(said, {"1": ["so", "it", "is", "no"]}) == 2  # one too many here, one missing there


def test_brackets_and_comments_are_not_counted():
    lines = ["# words", "ann 0.0 1.0 Well, it's late.", "bob 0.5 0.7 [mm-hm]"]
    assert reference_words(lines) == {"ann": ["well", "it's", "late"], "bob": []}
