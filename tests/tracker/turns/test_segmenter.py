from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.turns.segmenter import (
    Decision,
    Limits,
    SegmentEnd,
    Segmenter,
    SegmentPause,
    SegmentProgress,
    SegmentResume,
    SegmentStart,
    SpeechFrame,
)

LIMITS = Limits(window=4, needed=3, pre_roll=2, hangover=1, least_voiced=3, pause=3, silence=6, maximum=40)


def play(pattern: str, limits: Limits = LIMITS, levels: list[float] | None = None) -> list[Decision]:
    """Run a pattern of frames, ``#`` voiced and ``.`` not, to its end."""
    segmenter = Segmenter(limits)
    decisions: list[Decision] = []
    for i, mark in enumerate(pattern):
        decisions += segmenter.feed(SpeechFrame(mark == "#", levels[i] if levels else 0.0))
    return decisions + segmenter.finish()


def test_silence_has_no_turns():
    assert play("." * 200) == []


def test_a_turn_begins_before_its_first_voiced_frame_and_keeps_a_little_after_its_last():
    assert play("....." + "#####" + "." * 10) == [
        SegmentStart(3),
        SegmentPause(SegmentEnd(start=3, end=11, decided=13, voiced=5, by="pause")),
        SegmentEnd(start=3, end=11, decided=16, voiced=5, by="pause"),
    ]


def test_a_pause_is_not_the_end():
    decisions = play("####" + "...." + "####" + "." * 6)
    assert decisions == [
        SegmentStart(0),
        SegmentPause(SegmentEnd(0, 5, 7, 4, "pause")),
        SegmentResume(0),
        SegmentPause(SegmentEnd(0, 13, 15, 8, "pause")),
        SegmentEnd(0, 13, 18, 8, "pause"),
    ]


def test_a_turn_under_way_is_reported_at_a_steady_pace():
    decisions = play("#" * 9 + "..#" + "#" * 5 + "." * 8, replace(LIMITS, progress=5))
    assert [one for one in decisions if isinstance(one, SegmentProgress)] == [
        SegmentProgress(SegmentEnd(0, 5, 5, 5, "end_of_media")),
        SegmentProgress(SegmentEnd(0, 10, 10, 9, "end_of_media")),
        SegmentProgress(SegmentEnd(0, 15, 15, 13, "end_of_media")),
    ]  # and not in the pause at 20


@given(st.text("#.", max_size=120), st.integers(1, 20))
def test_reports_change_nothing_else_and_come_while_a_turn_is_open(pattern, every):
    decisions = play(pattern, replace(LIMITS, progress=every))
    assert [one for one in decisions if not isinstance(one, SegmentProgress)] == play(pattern)
    speaking = None
    for one in decisions:
        match one:
            case SegmentStart(start) | SegmentResume(start):
                speaking = start
            case SegmentPause() | SegmentEnd():
                speaking = None
            case SegmentProgress(so_far):
                assert so_far.start == speaking
                assert so_far.start < so_far.end <= so_far.decided


@pytest.mark.parametrize("silence", [4, 5, 6, 9])
def test_a_pause_lasts_as_long_as_it_was_given_and_the_next_as_long_as_ever(silence):
    segmenter = Segmenter(LIMITS)

    def play_on(pattern: str) -> list[Decision]:
        return [decision for mark in pattern for decision in segmenter.feed(SpeechFrame(mark == "#", 0.0))]

    segmenter.wait(1)  # nobody speaks
    assert play_on("####..") == [SegmentStart(0)]
    segmenter.wait(2)  # nobody pauses
    assert play_on(".") == [SegmentPause(SegmentEnd(0, 5, 7, 4, "pause"))]
    segmenter.wait(silence)
    assert play_on("." * (silence - 4) + "#" + "...") == [
        SegmentResume(0),
        SegmentPause(SegmentEnd(0, 5 + silence, 7 + silence, 5, "pause")),
    ]
    assert play_on("...") == [SegmentEnd(0, 5 + silence, 10 + silence, 5, "pause")]
    play_on("####...")
    segmenter.wait(silence)
    assert play_on("." * (silence - 4)) == []
    assert [type(decision) for decision in play_on(".")] == [SegmentEnd]


def test_clicks_open_nothing():
    assert play("#...#...#....##....") == []


def test_a_turn_with_too_little_voice_never_happened():
    limits = Limits(window=4, needed=3, pre_roll=2, hangover=1, least_voiced=5, pause=3, silence=6, maximum=40)
    assert play("..####" + "." * 10, limits) == []


def test_the_media_may_end_inside_a_turn():
    assert play("..####")[-1] == SegmentEnd(0, 6, 6, 4, "end_of_media")


def test_a_speaker_who_never_pauses_is_cut_at_the_quietest_place():
    levels = [0.0] * 60
    for i in range(30, 35):
        levels[i] = -20.0
    decisions = play("#" * 60, levels=levels)
    cut = next(d for d in decisions if isinstance(d, SegmentEnd))
    assert (cut.by, cut.end) == ("max_length", 32)
    assert SegmentStart(32) in decisions


def test_a_change_of_speaker_ends_one_turn_and_begins_the_next():
    segmenter = Segmenter(LIMITS)
    decisions = [d for _ in range(10) for d in segmenter.feed(SpeechFrame(True, 0.0))]
    decisions += segmenter.split(6)
    assert decisions == [SegmentStart(0), SegmentEnd(0, 6, 10, 6, "speaker_change"), SegmentStart(6)]
    assert segmenter.split(5) == []  # before the turn under way


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"needed": 0}, "needed"), ({"needed": 11}, "needed"), ({"pause": 30}, "pause"), ({"maximum": 50}, "maximum")],
)
def test_limits_with_which_nothing_would_work_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        Limits(**wrong)


patterns = st.lists(
    st.tuples(st.sampled_from("#."), st.integers(1, 60)).map(lambda run: run[0] * run[1]), max_size=12
).map("".join)


@given(patterns, st.lists(st.integers(0, 400), max_size=5))
def test_turns_are_in_order_disjoint_bounded_and_all_closed(pattern, splits):
    segmenter = Segmenter(LIMITS)
    decisions = []
    for i, mark in enumerate(pattern):
        decisions += segmenter.feed(SpeechFrame(mark == "#", 0.0))
        if i in splits:
            decisions += segmenter.split(i - 4)
        assert segmenter.keep_from <= i + 1
    decisions += segmenter.finish()
    opened = [d.start for d in decisions if isinstance(d, SegmentStart)]
    ended = [d for d in decisions if isinstance(d, SegmentEnd)]
    assert opened == [turn.start for turn in ended]
    for turn in ended:
        assert turn.start < turn.end <= turn.decided <= len(pattern)
        assert turn.end - turn.start <= LIMITS.maximum
    for before, after in pairwise(ended):
        assert before.end <= after.start


@given(patterns)
def test_speech_stops_before_a_pause_ends_the_turn(pattern):
    decisions = play(pattern)
    stopped = False
    for decision in decisions:
        match decision:
            case SegmentStart():
                stopped = False
            case SegmentPause(would_be):
                assert not stopped
                stopped = True
            case SegmentResume():
                assert stopped
                stopped = False
            case SegmentEnd(by="pause"):
                assert stopped
                assert would_be == decision._replace(decided=would_be.decided)
