"""What is decided about faces: pure, on made-up ones."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Absent, Features
from tests.support.faces import STEP_NS, face, frame_faces, turn
from tracker.observe.video.buffer import FrameBuffer
from tracker.observe.video.faces import (
    FaceAssociations,
    FaceObserver,
    choose_face,
    course,
    no_faces,
    reason_for_no_face,
)
from tracker.observe.video.reader import POINTS, similarity
from tracker.observe.video.records import Box, FaceChoice, overlap
from tracker.observe.video.stillness import CELLS, StillnessMeter
from tracker.observe.video.tracks import FaceTracker

boxes = st.builds(Box, *[st.floats(0, 1000)] * 2, *[st.floats(20, 300)] * 2)


@given(boxes, boxes)
def test_overlap_is_a_share_and_the_same_both_ways(a, b):
    assert 0 <= overlap(a, b) <= 1
    assert overlap(a, b) == pytest.approx(overlap(b, a))
    assert overlap(a, a) == pytest.approx(1)


@given(st.floats(-3, 3), st.floats(0.2, 5), st.floats(-99, 99), st.floats(-99, 99))
def test_points_are_brought_back_from_wherever_they_were_moved(angle, scale, x, y):
    turned = POINTS.astype(np.float64) @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]] * scale
    moved = turned + np.array([x, y])
    found = similarity(moved, POINTS)
    np.testing.assert_allclose(moved @ found[:, :2].T + found[:, 2], POINTS, atol=1e-3)


@given(st.lists(st.lists(boxes, max_size=4), max_size=8))
def test_no_two_faces_of_a_picture_are_the_same_and_numbers_begin_at_one(pictures):
    tracker, seen = FaceTracker(), set[int]()
    for index, picture in enumerate(pictures):
        numbers = tracker.follow(picture, index * STEP_NS)
        assert len(set(numbers)) == len(numbers) == len(picture)
        seen.update(numbers)
    assert seen == set(range(1, len(seen) + 1))


@given(st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30)), min_size=1, max_size=20), st.booleans())
def test_faces_that_move_a_little_stay_who_they_are(steps, swapped):
    tracker, left, right = FaceTracker(), Box(100, 100, 90, 110), Box(400, 120, 90, 110)
    assert tracker.follow([left, right], 0) == [1, 2]
    for index, (dx, dy) in enumerate(steps, 1):
        left = Box(left.left + dx, left.top + dy, 90, 110)
        pair = [right, left] if swapped else [left, right]
        if overlap(left, right) > 0:
            return
        assert tracker.follow(pair, index * STEP_NS) == ([2, 1] if swapped else [1, 2])


def test_a_face_that_was_away_for_long_is_another():
    tracker, box = FaceTracker(), Box(100, 100, 90, 110)
    assert tracker.follow([box], 0) == [1]
    assert tracker.follow([], 10 * 10**9) == []
    assert tracker.follow([box], 20 * 10**9) == [1]
    assert tracker.follow([box], 51 * 10**9) == [2]


def test_the_mouth_that_moves_while_somebody_speaks_is_the_speakers():
    seen = [frame_faces(i, face(1, motion=0.5), face(2, motion=9.0, size=60)) for i in range(10)]
    choice = choose_face(seen, turn(0, 9), {})
    assert (choice.track, choice.by, choice.faces) == (2, "mouth", 2)
    assert 0.6 <= choice.confidence <= 1


def test_a_mouth_that_moves_in_the_pauses_is_not():
    voice = np.repeat([0.5, 0.0] * 5, 3200).astype(np.float32)  # 0.2 s each; what is heard lies before a frame
    seen = [frame_faces(i, face(1, motion=8.0 * (i % 2)), face(2, motion=8.0 * ((i + 1) % 2))) for i in range(10)]
    assert choose_face(seen, turn(0, 9, voice), {}).track == 1


def test_still_mouths_leave_it_to_earlier_turns_and_then_to_size():
    seen = [frame_faces(i, face(1, size=120), face(2)) for i in range(5)]
    assert (choose_face(seen, turn(0, 4), {}).track, choose_face(seen, turn(0, 4), {}).by) == (1, "size")
    associations = FaceAssociations()
    for _ in range(3):
        associations.learn("Speaker 1", FaceChoice(2, "mouth", 0.9, 2))
    choice = choose_face(seen, turn(0, 4), associations.odds("Speaker 1", [1, 2]))
    assert (choice.track, choice.by) == (2, "speaker")
    # ... and whose face it is not, somebody else's is.
    other = choose_face(seen, turn(0, 4), associations.odds("Speaker 2", [1, 2]))
    assert (other.track, other.by) == (1, "speaker")


def test_an_only_face_is_less_surely_the_speakers_where_it_was_anothers():
    associations, seen = FaceAssociations(), [frame_faces(i, face(1)) for i in range(5)]
    first = choose_face(seen, turn(0, 4), associations.odds("Speaker 1", [1]))
    assert (first.by, first.confidence) == ("only", 1.0)
    associations.learn("Speaker 1", first)
    assert choose_face(seen, turn(0, 4), associations.odds("Speaker 1", [1])).confidence == 1.0
    assert choose_face(seen, turn(0, 4), associations.odds("Speaker 2", [1])).confidence < 0.7
    away = [*seen[:3], frame_faces(3), frame_faces(4)]
    assert choose_face(away, turn(0, 4), {}).confidence == 0.6


@given(st.lists(st.tuples(st.integers(1, 3), st.floats(0, 20)), min_size=1, max_size=12))
def test_a_choice_is_one_of_the_faces_and_a_probability(faces):
    seen = [frame_faces(i, face(track, motion=motion)) for i, (track, motion) in enumerate(faces)]
    choice = choose_face(seen, turn(0, len(seen) - 1), {})
    assert choice.track in {track for track, _ in faces}
    assert 0 < choice.confidence <= 1
    assert (choice.by == "only") == (choice.faces == 1)


def test_one_odd_picture_changes_no_expression():
    labels = ["sadness"] * 6 + ["joy"] + ["sadness"] * 5 + ["joy"] * 8
    values = np.stack([face(label=label).features for label in labels])
    found = course([i * STEP_NS for i in range(20)], values)
    assert [one.label for one in found] == ["sadness", "joy"]
    assert abs(found[1].at_ns - 12 * STEP_NS) <= 2 * STEP_NS


def test_why_there_is_no_face():
    empty = [
        frame_faces(0),
        frame_faces(1, no_face="too dark"),
        frame_faces(2, no_face="face too small"),
        frame_faces(3),
    ]
    assert reason_for_no_face(empty, "no picture") == "face too small"
    assert reason_for_no_face(empty[:2], "no picture") == "too dark"
    assert reason_for_no_face([frame_faces(0, no_face="camera off")], "no picture") == "camera off"
    assert reason_for_no_face([], "no picture") == "no picture"


@pytest.mark.anyio
async def test_looking_ahead_changes_nothing():
    buffer = FrameBuffer(None)
    buffer.audio_reached(10**10)
    for index in range(10):
        await buffer.put(frame_faces(index, face(1, "joy", 1.0), face(2, "anger", 9.0)))
    buffer.end()
    one, other = FaceObserver(buffer, "no picture"), FaceObserver(buffer, "no picture")
    for now in (turn(0, 3), turn(4, 9, number=2)):
        seen = await one.frames(now)
        for speaker in ("Speaker 1", "Speaker 2"):
            one.guess(now, speaker, seen)
        a, b = one.observe(now, "Speaker 1", seen), other.observe(now, "Speaker 1", await other.frames(now))
        assert a.face == b.face
        assert one.guess(now, "Speaker 1", []).face is None
        assert isinstance(a.features, Features)
        assert isinstance(b.features, Features)
        np.testing.assert_array_equal(a.features.values, b.features.values)
        assert a.face
        assert (a.face.choice.track, [step.label for step in a.face.course]) == (2, ["anger"])
    nothing = no_faces("camera off")
    assert nothing.observe(turn(0, 3), "Speaker 1", await nothing.frames(turn(0, 3))).features == Absent("camera off")


def stillness_of(values, step_ns=STEP_NS):
    meter = StillnessMeter()
    return [meter.feed(np.full((CELLS, CELLS), value, np.float32), i * step_ns) for i, value in enumerate(values)]


@pytest.mark.parametrize(
    ("pictures", "moves"),
    [
        ([100] * 30, 0),  # a photograph
        ([100, 104, 98, 101] * 8, 0),  # the noise of its coding
        ([0] * 15 + [90] * 15 + [200] * 15, 0),  # slides
        (range(0, 240, 8), 28),  # a face: moves from the second change on
        ([*range(0, 80, 8), *[80] * 20, *range(88, 168, 8)], 8 + 10 + 8),  # it freezes: known after two seconds
    ],
)
def test_a_picture_moves_once_it_has_changed_twice_within_two_seconds(pictures, moves):
    assert sum(one.moves for one in stillness_of(pictures)) == pytest.approx(moves, abs=2)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("pictures", "seen", "reason"),
    [
        ([100] * 25, 0, "still picture"),
        ([0] * 12 + [90] * 13, 0, "still picture"),
        (range(0, 200, 8), 25, ""),
        ([*range(0, 80, 8), *[80] * 15], 10, ""),  # the frozen part is left out from its first picture on
    ],
)
async def test_a_picture_that_does_not_change_is_no_face(pictures, seen, reason):
    buffer = FrameBuffer(None)
    for index, stillness in enumerate(stillness_of(pictures)):
        await buffer.put(replace(frame_faces(index, face()), stillness=stillness))
    buffer.end()
    observer = FaceObserver(buffer, "no picture")
    spoken = turn(0, 24)
    video = observer.observe(spoken, "Speaker 1", await observer.frames(spoken))
    if reason:
        assert video.features == Absent(reason)
    else:
        assert video.face
        assert video.face.frames == seen
