"""Any rate, any number of channels, any sample format -> 16 kHz float32, as a stream.

However the input is cut into pieces, the output is the same samples.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import soxr
from jaxtyping import Float32, Int16, Shaped

from tracker.sources.media import RATE_HZ, AudioChunk
from tracker.sources.mix import Mixer

ChannelMode = Literal["mix", "separate"]
"""``mix`` is the mean of all channels; ``separate`` keeps one per speaker."""


def as_float(samples: Shaped[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Samples of any format as float32 in [-1, 1]; what is not a number becomes silence.

    Args:
        samples: Unsigned (zero at mid-range) or signed integers over their whole range, or floats in [-1, 1].
    """
    if samples.dtype.kind in "iu":
        half = float(2 ** (8 * samples.dtype.itemsize - 1))
        middle = half if samples.dtype.kind == "u" else 0.0
        return np.asarray((samples.astype(np.float64) - middle) / half, np.float32)
    values: Float32[np.ndarray, "*shape"] = np.nan_to_num(np.clip(samples, -1, 1), nan=0.0).astype(np.float32)
    return values


def to_pcm16(samples: Float32[np.ndarray, " samples"]) -> Int16[np.ndarray, " samples"]:
    """Samples in [-1, 1] as 16 bit; exact for what was 16 bit before, clipped where it is louder."""
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)


def as_recorded(chunk: AudioChunk) -> AudioChunk:
    """A chunk as a recording gives it back, in 16 bit, so that a re-run has the same input."""
    return replace(chunk, samples=as_float(to_pcm16(chunk.samples)))


class Converter:
    """Converts one stream; `finish` returns what the resampling filter still holds.

    Args:
        rate_hz: Rate of the samples that are fed.
        channels: How many channels are fed.
        mode: Whether to mix the channels into one or keep them.

    Attributes:
        channels: How many channels come out.
    """

    def __init__(self, rate_hz: int, channels: int, mode: ChannelMode) -> None:
        self._mixer = Mixer(rate_hz, channels) if mode == "mix" and channels > 1 else None
        self.channels = 1 if mode == "mix" else channels
        self._stream = None if rate_hz == RATE_HZ else soxr.ResampleStream(rate_hz, RATE_HZ, self.channels)

    def feed(self, samples: Shaped[np.ndarray, "frames channels"]) -> Float32[np.ndarray, "out channels_out"]:
        """Take the next samples; what comes out lags a few milliseconds behind them."""
        values = as_float(samples)
        if self._mixer:
            values = self._mixer.feed(values)
        return values if self._stream is None else self._resample(self._stream, values, last=False)

    def finish(self) -> Float32[np.ndarray, "out channels_out"]:
        """The end of the output; nothing may be fed afterwards."""
        rest = self._mixer.finish() if self._mixer else np.zeros((0, self.channels), np.float32)
        return rest if self._stream is None else self._resample(self._stream, rest, last=True)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the user should know about the channels, as far as they were fed."""
        if self._mixer is None or self._mixer.instead is None:
            return ()
        heard = f"only channel {self._mixer.instead + 1} is heard"
        return (f"its channels cancel each other out, since one is out of phase; {heard}",)

    @staticmethod
    def _resample(stream: Any, values: Float32[np.ndarray, "frames channels"], *, last: bool) -> Any:
        # The filter overshoots at steep edges.
        return np.clip(stream.resample_chunk(np.ascontiguousarray(values), last=last), -1, 1)


class Chunker:
    """Cuts 16 kHz samples into chunks of one length, one chunk per channel and block.

    Args:
        block_ms: Length of a chunk; only the last one before a gap or the end is shorter.
    """

    def __init__(self, block_ms: int) -> None:
        if block_ms < 1:
            raise ValueError(f"block_ms must be at least 1, not {block_ms}")
        self._size = RATE_HZ * block_ms // 1000
        self._pending: list[Float32[np.ndarray, "some channels"]] = []
        self._held = 0
        self._start = 0

    @property
    def end(self) -> int:
        """Index of the sample that comes next."""
        return self._start + self._held

    def feed(self, samples: Float32[np.ndarray, "some channels"]) -> list[AudioChunk]:
        """The chunks that these samples complete."""
        self._pending.append(samples)
        self._held += len(samples)
        if self._held < self._size:
            return []
        whole = self._held // self._size * self._size
        return self._take(whole)

    def finish(self) -> list[AudioChunk]:
        """The rest, as a shorter chunk."""
        return self._take(self._held)

    def skip_to(self, start: int) -> None:
        """Samples were lost: the next ones begin at ``start``. Nothing may be pending (see `finish`)."""
        self._start = max(self._start, start)

    def _take(self, count: int) -> list[AudioChunk]:
        if not count:
            return []
        joined = np.concatenate(self._pending)
        # A copy, so that a chunk that is kept does not keep its neighbours.
        self._pending = [joined[count:].copy()]
        first, self._start, self._held = self._start, self._start + count, self._held - count
        return [
            AudioChunk(channel, first + at, joined[at : min(at + self._size, count), channel].copy())
            for at in range(0, count, self._size)
            for channel in range(joined.shape[1])
        ]
