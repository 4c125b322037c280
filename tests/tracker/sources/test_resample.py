from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import FakeClock
from tests.support.recordings import hear, joined, pitch, tone, write
from tracker.sources.files import FileSource
from tracker.sources.media import RATE_HZ, Remarking
from tracker.sources.mix import Mixer
from tracker.sources.pacing import PacedSource
from tracker.sources.push import PushSource
from tracker.sources.resample import ChannelMode, Chunker, Converter, as_float
from tracker.sources.stdin import StdinSource

RATES = [8000, 11025, 16000, 22050, 44100, 48000, 96000]


def convert(samples, cuts, rate_hz, mode: ChannelMode):
    converter = Converter(rate_hz, samples.shape[1], mode)
    pieces = [converter.feed(piece) for piece in np.split(samples, sorted(cuts))]
    return np.concatenate([*pieces, converter.finish()])


@given(
    seed=st.integers(0, 2**32 - 1),
    frames=st.integers(0, 3000),
    cuts=st.lists(st.integers(0, 3000), max_size=12),
    rate_hz=st.sampled_from(RATES),
    channels=st.integers(1, 6),
    mode=st.sampled_from(["mix", "separate"]),
    opposed=st.booleans(),
)
def test_any_chunking_gives_the_same_samples(seed, frames, cuts, rate_hz, channels, mode, opposed):
    samples = np.random.default_rng(seed).uniform(-1, 1, (frames, channels)).astype(np.float32)
    if opposed:
        samples[frames // 3 :, 1:] = -samples[frames // 3 :, :1] / max(1, channels - 1)
    whole = convert(samples, [], rate_hz, mode)
    np.testing.assert_array_equal(convert(samples, [min(cut, frames) for cut in cuts], rate_hz, mode), whole)
    assert whole.shape[1] == (1 if mode == "mix" else channels)
    assert abs(len(whole) - frames * RATE_HZ / rate_hz) <= 1
    assert whole.dtype == np.float32
    assert np.abs(whole).max(initial=0) <= 1


@pytest.mark.parametrize("rate_hz", RATES)
def test_a_tone_keeps_its_pitch_and_its_place(rate_hz):
    heard = convert(tone(440, rate_hz, 1)[:, None], [333, 1000], rate_hz, "mix")[:, 0]
    assert pitch(heard) == pytest.approx(440, abs=1)
    middle = slice(RATE_HZ // 4, 3 * RATE_HZ // 4)
    np.testing.assert_allclose(heard[middle], tone(440, RATE_HZ, 1)[middle], atol=2e-3)


def voice(seed, seconds, rate_hz=RATE_HZ):
    rng = np.random.default_rng(seed)
    loudness = np.repeat(rng.uniform(0, 0.3, round(seconds * 8)), rate_hz // 8)
    return (loudness * rng.standard_normal(len(loudness))).clip(-1, 1).astype(np.float32)


def cancelled(rate_hz, samples):
    mixer = Mixer(rate_hz, samples.shape[1])
    mixed = np.concatenate([mixer.feed(samples), mixer.finish()])
    return mixed, mixer.instead


@pytest.mark.parametrize("rate_hz", [16000, 44100])
@pytest.mark.parametrize("gain", [1, 0.8])
def test_channels_that_cancel_each_other_out_are_heard_as_one_of_them(rate_hz, gain):
    left = voice(1, 2, rate_hz)
    mixed, instead = cancelled(rate_hz, np.stack([left, -gain * left], 1))
    np.testing.assert_array_equal(mixed[:, 0], left)
    assert instead == 0


@pytest.mark.parametrize("start", [0, 0.5])
def test_a_channel_is_taken_only_while_they_do(start):
    left, right = voice(1, 6), voice(2, 6)
    begin, end = round(start * RATE_HZ), 4 * RATE_HZ
    right[begin:end] = -left[begin:end]
    mixed, _ = cancelled(RATE_HZ, np.stack([left, right], 1))
    mean = (left + right) / 2
    np.testing.assert_array_equal(mixed[:begin, 0], mean[:begin])
    np.testing.assert_array_equal(mixed[3 * RATE_HZ : end, 0], left[3 * RATE_HZ : end])
    np.testing.assert_array_equal(mixed[-RATE_HZ:, 0], mean[-RATE_HZ:])


@pytest.mark.parametrize(
    "sides",
    [
        lambda: (voice(1, 2), voice(2, 2)),  # two people at once
        lambda: (voice(1, 2), voice(1, 2)),  # the same twice
        lambda: (voice(1, 2), 0 * voice(1, 2)),  # one is silent
        lambda: (voice(1, 2), -0.5 * voice(1, 2)),  # a good part is left
        lambda: (voice(1, 2), np.roll(voice(1, 2), 5)),  # two microphones
        lambda: (0.1 * voice(1, 2) + tone(50, RATE_HZ, 2, 0.2), 0.1 * voice(1, 2) - tone(50, RATE_HZ, 2, 0.2)),  # hum
        lambda: (1e-4 * voice(1, 2), -1e-4 * voice(1, 2)),  # noise of a coder
    ],
)
def test_other_channels_are_mixed_as_ever(sides):
    samples = np.stack(sides(), 1)
    mixed, instead = cancelled(RATE_HZ, samples)
    np.testing.assert_array_equal(mixed[:, 0], samples.mean(axis=1, dtype=np.float32))
    assert instead is None


def test_mixing_is_the_mean_and_separating_keeps_each():
    samples = np.array([[0.5, -0.25, 0.5]] * 4, np.float32)
    assert convert(samples, [], RATE_HZ, "mix") == pytest.approx(np.full((4, 1), 0.25))
    assert convert(samples, [], RATE_HZ, "separate") == pytest.approx(samples)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (np.array([0, 128, 255], np.uint8), [-1, 0, 127 / 128]),
        (np.array([-(2**15), 0, 2**14], np.int16), [-1, 0, 0.5]),
        (np.array([-(2**31), 0, 2**30], np.int32), [-1, 0, 0.5]),
        (np.array([-(2**63), 0, 2**62], np.int64), [-1, 0, 0.5]),
        (np.array([-1, 0, 0.5], np.float64), [-1, 0, 0.5]),
        (np.array([-7, np.nan, np.inf], np.float32), [-1, 0, 1]),
    ],
)
def test_every_sample_format_becomes_float(given_, expected):
    values = as_float(given_)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, expected, atol=1e-7)


@given(lengths=st.lists(st.integers(0, 900), max_size=8), channels=st.integers(1, 3), block_ms=st.integers(1, 50))
def test_blocks_are_all_samples_in_order(lengths, channels, block_ms):
    values = np.arange(sum(lengths) * channels, dtype=np.float32).reshape(-1, channels)
    chunker = Chunker(block_ms)
    chunks = []
    for piece in np.split(values, np.cumsum(lengths)):
        chunks += chunker.feed(piece)
    size = RATE_HZ * block_ms // 1000
    assert all(len(chunk.samples) == size for chunk in chunks)
    chunks += chunker.finish()
    for channel in range(channels):
        own = [chunk for chunk in chunks if chunk.channel == channel]
        assert [chunk.start for chunk in own] == list(range(0, len(values), size))
        np.testing.assert_array_equal(np.concatenate([values[:0, 0], *(c.samples for c in own)]), values[:, channel])
    assert chunker.end == len(values)


def test_after_a_hole_blocks_go_on_at_their_true_place():
    chunker = Chunker(20)
    chunker.feed(np.zeros((100, 1), np.float32))
    assert [(chunk.start, len(chunk.samples)) for chunk in chunker.finish()] == [(0, 100)]
    chunker.skip_to(5000)
    assert [chunk.start for chunk in chunker.feed(np.zeros((640, 1), np.float32))] == [5000, 5320]


def test_a_block_has_a_length():
    with pytest.raises(ValueError, match="block_ms"):
        Chunker(0)


async def pushed(samples: np.ndarray) -> PushSource:
    source = PushSource(RATE_HZ, 2)
    for piece in np.split(samples, 4):
        await source.feed(piece)
    await source.finish()
    return source


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["file", "stdin", "pushed", "paced"])
@pytest.mark.parametrize("sign", [1, -1])
async def test_a_source_tells_of_channels_that_cancel_each_other_out(kind, sign, tmp_path):
    left = voice(1, 2)
    samples = np.stack([left, sign * left], 1)
    match kind:
        case "file":
            source = FileSource(str(write(tmp_path / "call.flac", samples, RATE_HZ)))
        case "stdin":
            source = StdinSource(BytesIO((samples * 32767).astype("<i2").tobytes()), width=2)
        case "pushed":
            source = await pushed(samples)
        case _:
            source = PacedSource(StdinSource(BytesIO((samples * 32767).astype("<i2").tobytes()), width=2), FakeClock())
    chunks, _ = await hear(source)
    np.testing.assert_allclose(joined(chunks), left, atol=1e-4)
    assert isinstance(source, Remarking)
    assert ["only channel 1 is heard" in remark for remark in source.remarks] == ([True] if sign < 0 else [])
