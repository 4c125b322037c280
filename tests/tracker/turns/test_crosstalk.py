import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.sources.media import RATE_HZ, AudioChunk
from tracker.turns.crosstalk import Crosstalk
from tracker.turns.segment import AudioSegmenter
from tracker.turns.segmenter import Limits, SpeechFrame
from tracker.turns.turn import ChannelRepeats, Turn

LIMITS = Limits()


def speech(seed: int, seconds: float) -> np.ndarray:
    """Sound with the envelope of speech: noise in bands, each with its own syllables, about 24 dB below full scale."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hz = np.fft.rfftfreq(count, 1 / RATE_HZ)
    syllables = np.arange(count) / RATE_HZ * 8  # a value every 125 ms, and a straight line between them
    total = np.zeros(count)
    for low, high in ((150, 600), (600, 1500), (1500, 4000)):
        band = np.fft.irfft(np.where((hz >= low) & (hz < high), spectrum, 0), count)
        loudness = np.interp(syllables, np.arange(int(seconds * 8) + 2), rng.uniform(-30, 0, int(seconds * 8) + 2))
        total += band / band.std() * 10 ** (loudness / 20)
    return (total / total.std() * 0.06).astype(np.float32)


def conversation(*utterances: tuple[int, float, float], seconds: float = 12.0) -> list[np.ndarray]:
    """Two channels with utterances: channel, begin, length in seconds."""
    sides = [np.zeros(round(seconds * RATE_HZ), np.float32) for _ in range(2)]
    for seed, (channel, begin_s, length_s) in enumerate(utterances):
        begin = round(begin_s * RATE_HZ)
        said = speech(seed, length_s)
        sides[channel][begin : begin + len(said)] += said
    return sides


def leaking(sides: list[np.ndarray], db: float, ms: int) -> list[np.ndarray]:
    """Each channel with the other one in it, later and quieter, and a little noise."""
    rng = np.random.default_rng(99)
    late, share = ms * RATE_HZ // 1000, 10 ** (-db / 20)
    return [
        own + share * np.concatenate([np.zeros(late), other])[: len(other)] + 1e-4 * rng.standard_normal(len(own))
        for own, other in (sides, reversed(sides))
    ]


def audible():
    return lambda samples: SpeechFrame(bool(np.mean(np.square(samples)) > 3e-8), 0.0)


def cut(channels, sizes=(320,), compare=True):
    """The turns, and the repetitions that were found."""
    segmenter = AudioSegmenter(
        len(channels), audible, LIMITS, None, crosstalk=Crosstalk(len(channels)) if compare else None
    )
    records, begin, turn = [], 0, 0
    while begin < len(channels[0]):
        size = sizes[turn % len(sizes)]
        for number, samples in enumerate(channels):
            piece = samples[begin : begin + size].astype(np.float32)
            records += segmenter.feed(AudioChunk(number, begin, piece))
        begin, turn = begin + size, turn + 1
    records += segmenter.finish()
    turns = [record for record in records if isinstance(record, Turn)]
    return turns, [record for record in records if isinstance(record, ChannelRepeats)]


def spans(turns):
    return [(turn.channel, turn.start_ns, turn.end_ns) for turn in turns]


def seconds(turns):
    return sorted((turn.channel, round(turn.start_ns / 1e9, 1), round(turn.end_ns / 1e9, 1)) for turn in turns)


CALL = ((0, 1.0, 3.0), (1, 5.0, 2.5), (0, 8.5, 2.5))


@pytest.mark.parametrize("ms", [20, 60, 200])
@pytest.mark.parametrize("db", [12, 20, 30])
def test_what_leaks_into_the_other_channel_is_heard_once(db, ms):
    sides = leaking(conversation(*CALL), db, ms)
    assert len(cut(sides, compare=False)[0]) > len(CALL)  # the test would not fail without
    turns, found = cut(sides)
    assert len(turns) == len(CALL)
    for turn, (channel, begin_s, length_s) in zip(sorted(turns, key=lambda t: t.start_ns), CALL, strict=True):
        assert turn.channel == channel
        assert turn.start_ns / 1e9 == pytest.approx(max(0, begin_s - 0.3), abs=0.2)
        assert turn.end_ns / 1e9 == pytest.approx(begin_s + length_s, abs=0.4)
    assert {(one.channel, one.of) for one in found} == {(0, 1), (1, 0)}
    for one in found:
        assert one.level_db == pytest.approx(-db, abs=4)
        assert one.lag_ms == pytest.approx(ms, abs=20)


@pytest.mark.parametrize("sign", [1, -1])
def test_two_channels_of_the_same_are_heard_once(sign):
    side = sum(leaking(conversation(*CALL), 200, 0))
    turns, found = cut([side, sign * side])
    assert spans(turns) == spans(cut([side])[0])
    assert [(one.channel, one.of, one.lag_ms) for one in found] == [(1, 0, 0)]
    assert found[0].level_db == pytest.approx(0)


@pytest.mark.parametrize("db", [0, 6, 12, 20])
def test_two_who_speak_at_once_stay_two(db):
    first, second = conversation((0, 1.0, 6.0), (1, 1.1, 5.5), (0, 8.0, 3.0), (1, 8.5, 3.0))
    sides = leaking([first, second * 10 ** (-db / 20)], 200, 0)
    turns, found = cut(sides)
    assert found == []
    assert seconds(turns) == seconds(cut(sides, compare=False)[0])


def test_one_speaks_up_while_the_other_side_leaks_in():
    sides = leaking(conversation((0, 1.0, 8.0), (1, 5.0, 3.0)), 15, 80)
    turns, _ = cut(sides)
    assert [turn.channel for turn in turns] == [1, 0]
    assert turns[0].start_ns / 1e9 == pytest.approx(4.7, abs=0.4)
    assert turns[0].end_ns / 1e9 == pytest.approx(8.0, abs=1.1)


@settings(max_examples=10)
@given(st.lists(st.integers(60, 5000), min_size=1, max_size=8), st.sampled_from([12, 20]))
def test_any_chunking_finds_the_same_repetitions(sizes, db):
    sides = leaking(conversation((0, 0.5, 1.5), (1, 2.2, 1.5), seconds=4.5), db, 60)
    turns, found = cut(sides)
    pieces, found_in_pieces = cut(sides, sizes)
    assert spans(pieces) == spans(turns)
    assert found_in_pieces == found
    for whole, piece in zip(turns, pieces, strict=True):
        np.testing.assert_array_equal(whole.samples, piece.samples)


def test_a_channel_that_ends_early_leaves_the_other_one_alone():
    first, second = leaking(conversation(*CALL), 200, 0)
    segmenter = AudioSegmenter(2, audible, LIMITS, None, crosstalk=Crosstalk(2))
    records = [*segmenter.feed(AudioChunk(0, 0, first.astype(np.float32)))]
    records += segmenter.feed(AudioChunk(1, 0, second[: 2 * RATE_HZ].astype(np.float32)))
    records += segmenter.finish()
    assert [turn.channel for turn in records if isinstance(turn, Turn)] == [0, 0]


def test_memory_does_not_grow():
    crosstalk = Crosstalk(2)

    def held():
        return sum(np.size(one) for one in vars(crosstalk).values())

    before = held()
    for frame in speech(1, 4.0).reshape(-1, 320):
        crosstalk.feed(np.stack([frame, frame / 4]), np.array([True, True]))
    crosstalk.news.clear()
    assert held() == before
