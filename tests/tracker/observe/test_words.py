from hypothesis import given
from hypothesis import strategies as st

from tracker.observe.records import SpokenWord
from tracker.observe.words import FRAME_NS, agreed, between, timed

MS = 1_000_000


def test_marks_belong_to_the_word_before_them():
    path = [(0, 0), (0, 10), (1, 20), (2, 30), (3, 35), (4, 60)]
    found = timed([" Hello", ",", " you", "."], [1, 1, 1, 1], [0.9, 0.1, 0.5, 0.2], path, 2000 * MS)
    assert found == [SpokenWord("Hello,", 0, 400 * MS, 0.9), SpokenWord("you.", 600 * MS, 700 * MS, 0.5)]


def test_a_word_of_several_tokens_lasts_through_them():
    (word,) = timed([" Chicago"], [2], [0.9, 0.7], [(0, 5), (1, 9), (2, 30)], 5000 * MS)
    assert word == SpokenWord("Chicago", 100 * MS, 600 * MS, 0.8)


@given(st.data())
def test_times_grow_and_no_piece_is_lost(data):
    pieces = data.draw(st.lists(st.sampled_from([" a", " bee", ",", ".", "!?"]), max_size=8))
    tokens = [data.draw(st.integers(1, 3)) for _ in pieces]
    total, end_ns = sum(tokens), data.draw(st.integers(0, 100)) * FRAME_NS
    path = data.draw(st.lists(st.tuples(st.integers(0, total), st.integers(0, 120)), max_size=30))
    found = timed(pieces, tokens, [0.5] * total, path, end_ns)
    assert "".join(word.text for word in found) == "".join(pieces).replace(" ", "")
    times = [at for word in found for at in (word.start_ns, word.end_ns)]
    assert times == sorted(times)
    assert not times or 0 <= times[0] <= times[-1] <= end_ns


@given(st.lists(st.integers(0, 3000), min_size=2, max_size=24), st.integers(0, 3000), st.integers(0, 3000))
def test_the_words_between_two_cuts_are_some_in_a_row_with_times_inside(times, start, length):
    ends = [at * MS for at in sorted(times)]
    words = [SpokenWord(f"w{i}", a, b, 1.0) for i, (a, b) in enumerate(zip(ends[::2], ends[1::2], strict=False))]
    start_ns, end_ns = start * MS, (start + length) * MS
    kept = between(words, start_ns, end_ns)
    names = [word.text for word in words]
    first = names.index(kept[0].text) if kept else 0
    assert [word.text for word in kept] == names[first : first + len(kept)]
    inside = [at for word in kept for at in (word.start_ns, word.end_ns)]
    assert inside == sorted(inside)
    assert all(0 <= at <= length * MS for at in inside)
    for word in words:  # most of a word decides, and what lies between the cuts is lost on no account
        if start_ns < word.end_ns and word.start_ns + word.end_ns <= 2 * end_ns:
            assert word.text in [one.text for one in kept]
        if word.start_ns + word.end_ns > 2 * end_ns:
            assert word.text not in [one.text for one in kept]


def test_a_word_right_before_a_cut_is_the_new_speakers_where_speech_goes_on_from_it():
    def said(then_ms):
        heard = [SpokenWord("there.", 0, 200 * MS, 1.0), SpokenWord("Neither", then_ms * MS, 700 * MS, 1.0)]
        return [word.text for word in between(heard, 200 * MS, 1000 * MS)]

    assert (said(200), said(440)) == (["there.", "Neither"], ["Neither"])


def test_readings_agree_on_the_words_that_they_begin_with():
    assert agreed("So I said, you know", "So I said you knew it") == "So I said you"
    assert agreed("Well.", "well, no") == "well,"
    assert agreed("", "well") == agreed("well", "") == agreed("No.", "Yes.") == ""


@given(st.text("ab .", max_size=12), st.text("ab .", max_size=12))
def test_what_is_agreed_on_is_the_beginning_of_the_newer_text(before, now):
    assert now.startswith(agreed(before, now))
    assert agreed(now, now) == now
