"""Several channels into one: their mean, or one of them where they cancel each other out. Pure.

A cable or a plug-in that turns the sign of one channel leaves little or nothing in the mean. Channels that only differ
do not: the mean of independent ones has the power that `cancellation` calls 1.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64

_BLOCK_MS = 20
_FORGET = 0.98  # of what was heard, with each block: about a second counts
_CANCELLED, _RESTORED = 0.1, 0.3
_QUIETEST = 1e-6  # power of a channel, -60 dB below full scale: noise may cancel out
_SURE = 25  # blocks: half a second


class Mixer:
    """Mixes one stream; the same samples however they are cut into pieces.

    Args:
        rate_hz: Rate of the samples.
        channels: How many channels are fed.

    Attributes:
        instead: The channel that is taken instead of the mean, once that has gone on for half a second; None before.
    """

    def __init__(self, rate_hz: int, channels: int) -> None:
        self.instead: int | None = None
        self._block = max(2, rate_hz * _BLOCK_MS // 1000)
        self._pending = np.zeros((0, channels), np.float32)
        self._power = np.zeros(channels)  # of each channel's changes from sample to sample, over the last second
        self._mixed = 0.0
        self._taken: int | None = None
        self._blocks = 0  # without the mean

    def feed(self, samples: Float32[np.ndarray, "frames channels"]) -> Float32[np.ndarray, "out 1"]:
        """Take the next samples; what comes out lags up to 20 ms behind them."""
        if samples.shape[1] == 1:
            return samples
        joined = np.concatenate([self._pending, samples])
        count = len(joined) // self._block
        whole, self._pending = joined[: count * self._block], joined[count * self._block :].copy()
        return self._mix(whole.reshape(count, self._block, samples.shape[1]))

    def finish(self) -> Float32[np.ndarray, "out 1"]:
        """The rest, mixed as what was before it."""
        rest, self._pending = self._pending, self._pending[:0]
        return mean(rest) if self._taken is None else rest[:, self._taken, None]

    def _mix(self, blocks: Float32[np.ndarray, "blocks frames channels"]) -> Float32[np.ndarray, "out 1"]:
        changes = np.diff(blocks, axis=1).astype(np.float64)  # without the hum of the mains, which may cancel out alone
        powers = np.square(changes).mean(1)
        mixed = np.square(changes.sum(2)).mean(1)
        loud = np.square(blocks, dtype=np.float64).mean(1).max(1) >= _QUIETEST
        pieces = [mean(blocks[:0].reshape(0, blocks.shape[2]))]
        for block, power, mix, is_loud in zip(blocks, powers, mixed, loud, strict=True):
            self._power, self._mixed = _FORGET * self._power + power, _FORGET * self._mixed + mix
            self._decide(bool(is_loud))
            pieces.append(mean(block) if self._taken is None else block[:, self._taken, None])
        return np.concatenate(pieces)

    def _decide(self, is_loud: bool) -> None:
        left = cancellation(self._power, self._mixed)
        if self._taken is None and is_loud and left < _CANCELLED:
            self._taken = int(self._power.argmax())
        elif self._taken is not None and left > _RESTORED:
            self._taken, self._blocks = None, 0
        self._blocks += self._taken is not None and is_loud
        if self._blocks >= _SURE:
            self.instead = self._taken


def mean(samples: Float32[np.ndarray, "frames channels"]) -> Float32[np.ndarray, "frames 1"]:
    """The mean of all channels."""
    mixed: Float32[np.ndarray, "frames 1"] = samples.mean(axis=1, keepdims=True, dtype=np.float32)
    return mixed


def cancellation(powers: Float64[np.ndarray, " channels"], mixed: float) -> float:
    """What the sum of the channels keeps of their power: 0 where they cancel out, 1 where they are independent.

    Args:
        powers: Of each channel.
        mixed: Of their sum.
    """
    together = float(powers.sum())
    return mixed / together if together else 1.0
