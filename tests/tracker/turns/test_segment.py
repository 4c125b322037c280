from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracker.sources.media import AudioChunk
from tracker.turns.segment import AudioSegmenter
from tracker.turns.segmenter import Limits, SpeechFrame
from tracker.turns.turn import Turn, TurnOpened, TurnPaused, TurnResumed

FRAME = 320
LIMITS = Limits(window=4, needed=3, pre_roll=2, hangover=1, least_voiced=3, pause=3, silence=6, maximum=40)


def loud_is_voice():
    """A detector for synthetic audio: a frame is speech where its mean square is over a tenth."""
    return lambda samples: SpeechFrame(bool(np.mean(samples**2) > 0.1), float(np.mean(samples**2)))


def media(pattern: str) -> np.ndarray:
    """Audio whose frames are loud (``#``) or silent (``.``), every sample telling its own index."""
    loud = np.repeat([mark == "#" for mark in pattern], FRAME)
    tell = np.arange(len(loud)) / (2 * max(1, len(loud)))
    return np.where(loud, 0.5 + tell, 0.0).astype(np.float32)


def halves(samples):
    """Speaker activity for synthetic audio: one speaker while it is quieter than 0.75, then the other."""
    steps = max(0, int(len(samples) / 270))
    loudness = np.abs(samples[: steps * 270].reshape(steps, 270)).max(1)
    return np.stack([(loudness > 0) & (loudness < 0.75), loudness >= 0.75], 1)


def by_loudness(samples):
    """A judge of pauses for synthetic audio: four to eight frames, by all that was said and how long it was quiet."""
    return 4 + int(np.abs(samples).sum() * 10 + len(samples) // FRAME) % 5


def cut(samples, sizes, channels=1, activity=None, limits=LIMITS, wait=None):
    segmenter = AudioSegmenter(channels, loud_is_voice, limits, activity, wait)
    records = []
    begin = 0
    while begin < len(samples):
        size = next(sizes)
        for channel in range(channels):
            piece = samples[begin : begin + size]
            records += segmenter.feed(AudioChunk(channel, begin, piece if channel == 0 else piece * 0))
        begin += size
    records += segmenter.finish()
    assert segmenter.media_ns == len(samples) * 62_500
    return records


def same(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert type(x) is type(y)
        for name in x.__slots__:
            if isinstance(getattr(x, name), Turn):
                same([getattr(x, name)], [getattr(y, name)])
            else:
                np.testing.assert_array_equal(getattr(x, name), getattr(y, name))


patterns = st.lists(
    st.tuples(st.sampled_from("#."), st.integers(1, 70)).map(lambda run: run[0] * run[1]), min_size=1, max_size=8
).map("".join)


@given(patterns, st.lists(st.integers(60, 5000), min_size=1, max_size=30), st.booleans(), st.booleans())
def test_any_chunking_gives_the_same_turns(pattern, sizes, with_changes, adaptive):
    samples = media(pattern)
    judges = {"activity": halves if with_changes else None, "wait": by_loudness if adaptive else None}
    whole = cut(samples, iter([len(samples)]), **judges)
    pieces = cut(samples, (sizes[i % len(sizes)] for i in range(10**9)), **judges)
    same(whole, pieces)


@given(patterns)
def test_a_turn_carries_its_own_samples_and_every_opening_is_followed_by_its_turn(pattern):
    samples = media(pattern)
    records = cut(samples, iter([len(samples)]))
    opened = [record for record in records if isinstance(record, TurnOpened)]
    turns = [record for record in records if isinstance(record, Turn)]
    assert [record.number for record in opened] == list(range(1, len(opened) + 1))
    assert [turn.number for turn in turns] == [record.number for record in opened]
    for turn in turns:
        begin, end = turn.start_ns // 62_500, turn.end_ns // 62_500
        np.testing.assert_array_equal(turn.samples, samples[begin:end])


@given(patterns, st.booleans(), st.booleans())
def test_a_turn_that_pauses_for_good_is_what_its_pause_said(pattern, with_changes, adaptive):
    samples = media(pattern)
    maybe: dict[int, Turn] = {}
    judges = {"activity": halves if with_changes else None, "wait": by_loudness if adaptive else None}
    for record in cut(samples, iter([len(samples)]), **judges):
        match record:
            case TurnPaused(turn):
                assert with_changes or turn.number not in maybe
                maybe[turn.number] = turn
            case TurnResumed(number):
                maybe.pop(number, None)
            case Turn(ended_by="pause"):
                would_be = maybe.pop(record.number)
                assert (would_be.span, would_be.voiced_ns) == (record.span, record.voiced_ns)
                np.testing.assert_array_equal(would_be.samples, record.samples)
            case Turn():
                maybe.pop(record.number, None)
    assert maybe == {}


def test_a_pause_is_judged_once_by_what_was_heard_until_then():
    samples = media("." * 10 + "#" * 12 + "." * 5 + "#" * 9 + "." * 30)
    heard = []

    def wait(said):
        heard.append(said)
        return (7, 4)[len(heard) - 1]

    (turn,) = [record for record in cut(samples, iter([len(samples)]), wait=wait) if isinstance(record, Turn)]
    # It begins two frames before its first voice, and a pause is seen after three frames.
    for said, end in zip(heard, (10 + 12 + 3, 10 + 12 + 5 + 9 + 3), strict=True):
        np.testing.assert_array_equal(said, samples[8 * FRAME : end * FRAME])
    assert (turn.ended_by, turn.decided_ns) == ("pause", (10 + 12 + 5 + 9 + 4) * 20_000_000)


def test_a_change_of_speaker_without_a_pause_makes_two_turns():
    samples = media("#" * 120 + "." * 20)
    long = replace(LIMITS, maximum=400)
    turns = [r for r in cut(samples, iter([len(samples)]), activity=halves, limits=long) if isinstance(r, Turn)]
    ended_by = [turn.ended_by for turn in turns]
    assert "speaker_change" in ended_by
    change = turns[ended_by.index("speaker_change")]
    loud = samples[samples > 0]
    crossing = int(np.argmax(samples >= 0.75)) if loud.max() >= 0.75 else None
    assert crossing is not None
    assert abs(change.end_ns // 62_500 - crossing) <= 2 * FRAME
    begin, end = (at // 62_500 for at in (change.end_ns, change.decided_ns))
    np.testing.assert_array_equal(change.after, samples[begin : min(end, begin + 15 * FRAME)])
    then = next(turn for turn in turns if turn.start_ns == change.end_ns)
    np.testing.assert_array_equal(then.before, samples[begin - 10 * FRAME : begin])
    assert not len(change.before)


def test_two_voices_that_overlap_for_long_change_once():
    """The call, looped: the new turn began with the old voice, and its end was taken for a change of its own."""
    samples = media("#" * 140 + "." * 20)

    def overlapping(heard):
        steps = len(heard) // 270
        loudness = np.abs(heard[: steps * 270].reshape(steps, 270)).max(1)
        frame = (loudness - 0.5) * 2 * len(samples) / FRAME
        return np.stack([(loudness > 0) & (frame < 75), frame >= 45], 1)

    long = replace(LIMITS, maximum=400)
    turns = [r for r in cut(samples, iter([len(samples)]), activity=overlapping, limits=long) if isinstance(r, Turn)]
    assert [turn.ended_by for turn in turns] == ["speaker_change", "pause"]
    assert abs(turns[0].end_ns / 20_000_000 - 60) <= 2


def test_who_looks_for_changes_hears_quiet_sound_amplified():
    heard = []

    def spy(samples):
        heard.append(float(np.abs(samples).max()))
        return np.ones((len(samples) // 270, 1), bool)

    def voiced(frame):
        return SpeechFrame(bool(np.abs(frame).max() > 0), float(np.abs(frame).max()))

    quiet = media("#" * 120 + "." * 20) * np.float32(0.001)
    segmenter = AudioSegmenter(1, lambda: voiced, replace(LIMITS, maximum=400), spy)
    for _ in segmenter.feed(AudioChunk(0, 0, quiet)):
        pass
    assert len(heard) > 5
    assert min(heard) > 0.02


def test_a_change_of_speaker_that_one_look_alone_finds_is_none():
    samples, looks = media("#" * 120 + "." * 20), 0

    def doubtful(heard):
        nonlocal looks
        looks += 1
        return halves(heard) if looks % 2 else np.ones((len(heard) // 270, 1), bool)

    long = replace(LIMITS, maximum=400)
    ended_by = [
        r.ended_by for r in cut(samples, iter([len(samples)]), activity=doubtful, limits=long) if isinstance(r, Turn)
    ]
    assert "speaker_change" not in ended_by
    assert looks > 5


def test_lost_samples_become_silence_so_that_media_time_stays_true():
    segmenter = AudioSegmenter(1, loud_is_voice, LIMITS, None)
    loud = np.full(10 * FRAME, 0.9, np.float32)
    records = list(segmenter.feed(AudioChunk(0, 0, loud)))
    records += segmenter.feed(AudioChunk(0, 30 * FRAME, loud))
    records += segmenter.finish()
    turns = [record for record in records if isinstance(record, Turn)]
    assert [turn.start_ns // 20_000_000 for turn in turns] == [0, 28]
    assert segmenter.media_ns == 40 * 20_000_000


def test_channels_are_cut_apart_and_numbered_by_time():
    segmenter = AudioSegmenter(2, loud_is_voice, LIMITS, None)
    first, second = media("#" * 10 + "." * 40), media("." * 20 + "#" * 10 + "." * 20)
    records = [*segmenter.feed(AudioChunk(1, 0, second)), *segmenter.feed(AudioChunk(0, 0, first)), *segmenter.finish()]
    turns = [record for record in records if isinstance(record, Turn)]
    assert [(turn.number, turn.channel) for turn in turns] == [(1, 0), (2, 1)]


def test_silence_is_not_kept():
    segmenter = AudioSegmenter(1, loud_is_voice, LIMITS, None)
    for second in range(120):
        list(segmenter.feed(AudioChunk(0, second * 16_000, np.zeros(16_000, np.float32))))
    kept = segmenter._channels[0].audio
    assert len(kept.cut(0, 10**9)) <= (LIMITS.window + LIMITS.pre_roll + 50) * FRAME


@given(patterns)
def test_nobody_looks_for_another_speaker_where_nothing_was_said_since_the_last_look(pattern):
    samples = media(pattern)
    looked: list[int] = []  # voiced frames of the media that were heard before each look

    def look(window):
        last = np.abs(window).max()  # the samples tell their own index, so the loudest voiced one is the last
        looked.append(round(float(last), 6))
        return halves(window)

    limits = replace(LIMITS, silence=200, maximum=1000)  # long pauses, in which a look would be due
    cut(samples, iter([len(samples)]), activity=look, limits=limits)
    assert len(looked[:-1]) == len(set(looked[:-1]))  # the last one may be that of the end of the media
