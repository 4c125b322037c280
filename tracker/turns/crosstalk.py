"""Which channels only repeat another one: the same sound twice, or the other side of a call in a microphone.

A channel repeats another where its envelope follows the other's up to a quarter of a second later, quieter or just as
loud. The envelope is the level of ten bands of speech in each frame. It is followed while the other channel speaks and
this one is not louder, so that what was learned stays while its own speaker has the floor. Pure: sound in, channels
out, in memory that does not grow.

Letters: ``lags`` frames by which a channel may follow another, from 0; ``of`` the channel that it may repeat.

Measured on the two sides of a telephone call and of two read sentences, each leaking into the other 12, 20 and 30 dB
down, 20 to 200 ms late, through a small room, over two noise floors: the sides keep their 7 and 2 turns, in a fifth of
the cases with one more; heard as they are, the call falls into 4 to 8 turns of both together, and the sentences come
twice. Of pairs of different people who speak at once, as loud as each other and down to 20 dB apart, less than 0.5 % of
the voiced frames are lost.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int

from tracker.sources.media import RATE_HZ
from tracker.turns.segmenter import FRAME_MS
from tracker.turns.turn import ChannelRepeats

_EDGES_HZ = (150, 300, 450, 650, 900, 1200, 1600, 2100, 2700, 3300, 4000)
_LAGS = 240 // FRAME_MS + 1  # an echo of the telephone is 20 to 200 ms late
_OVER = 20  # frames of the other's speech over which envelopes are compared: 0.4 s
_LEAST = 5  # of them, about, before anything is decided
_FLOOR_DB, _RANGE_DB = -90.0, 48.0  # below full scale; below the loudest lately: what is lower is no speech
_FALL_DB = 0.05  # by which "the loudest lately" falls with each frame
_ALIKE = 0.7  # correlation from which a quieter channel is a repetition ...
_SAME, _SAME_DB = 0.95, 3.0  # ... and one as loud, to so many decibels
_OWN_DB = 6.0  # louder than its repetition by this, or by half the way to the other's level: its own speech
_PAUSE = 25  # frames: half a second
_TAIL = 4  # frames for which a room still sounds
_TOLD = 50  # frames that were repeated before it is said: a second

_Pairs = Float64[np.ndarray, "of channels"]
_WINDOW = np.hanning(RATE_HZ * FRAME_MS // 1000)
_BINS = np.searchsorted(np.fft.rfftfreq(len(_WINDOW), 1 / RATE_HZ), _EDGES_HZ)


class Crosstalk:
    """Compares the channels of one session, frame by frame.

    Args:
        channels: How many.

    Attributes:
        news: The channels that were found to repeat another one, each once in a session; take them from here.
    """

    def __init__(self, channels: int) -> None:
        pairs, bands = (_LAGS, channels, channels), len(_EDGES_HZ) - 1
        self.news: list[ChannelRepeats] = []
        self._not_itself = ~np.eye(channels, dtype=bool)
        self._loudest = np.full(channels, _FLOOR_DB)
        # The last frames, the newest first.
        self._levels = np.full((_LAGS + _TAIL, channels, bands), _FLOOR_DB)
        self._totals = np.full((_LAGS + _TAIL, channels), _FLOOR_DB)
        self._speech = np.zeros((_LAGS + _TAIL, channels), bool)
        # The moments of both envelopes, for each lag, channel that may be repeated, and channel that may repeat it.
        self._weights = np.zeros(pairs)
        self._idle = np.zeros(pairs)  # frames since the last that was taken in
        self._moments = np.zeros((5, *pairs, bands))
        self._frames = np.zeros((channels, channels), int)  # of speech that were repeated
        self._told = np.zeros((channels, channels), bool)

    def feed(
        self, samples: Float32[np.ndarray, "channels samples"], voiced: Bool[np.ndarray, " channels"]
    ) -> Bool[np.ndarray, " channels"]:
        """Which channels repeat another one in the next frame.

        Args:
            samples: The frame of each channel.
            voiced: Whether it is speech, whoever's.
        """
        levels = band_levels(samples)
        totals = 10 * np.log10((10 ** (levels / 10)).sum(1))
        self._loudest = np.maximum(self._loudest - _FALL_DB, totals)
        _push(self._levels, np.maximum(levels, self._loudest[:, None] - _RANGE_DB))
        _push(self._totals, totals)
        _push(self._speech, voiced)
        self._idle += 1
        if not self._speech.any():
            return np.zeros(len(voiced), bool)
        self._follow()
        alike, gain_db, lags = self._closest()
        found = self._repetitions(alike, gain_db, lags)
        repeats: Bool[np.ndarray, " channels"] = np.asarray(found.any(0))
        self._speech[0] &= ~repeats  # a repetition is not repeated
        self._frames += found & voiced
        for of, by in np.argwhere((self._frames >= _TOLD) & ~self._told):
            self._told[:, by] = True
            self.news.append(ChannelRepeats(int(by), int(of), float(gain_db[of, by]), int(lags[of, by]) * FRAME_MS))
        return repeats

    def _follow(self) -> None:
        """Take the newest frame into the moments."""
        of, by = self._levels[:_LAGS, :, None], self._levels[0]
        on = self._speech[:_LAGS, :, None] & (self._totals[0] < self._totals[:_LAGS, :, None] + _SAME_DB)
        on &= self._not_itself
        few = (self._idle > _PAUSE) & (self._weights < _OVER / 2)  # the end of an utterance tells little about the next
        self._idle[on] = 0
        keep = np.where(on, np.where(few, 0.0, 1 - 1 / _OVER), 1.0)
        self._weights = self._weights * keep + on
        new = np.stack(np.broadcast_arrays(of, by, of * of, by * by, of * by))
        self._moments = self._moments * keep[..., None] + on[..., None] * new

    def _closest(self) -> tuple[_Pairs, _Pairs, Int[np.ndarray, "of channels"]]:
        """For each pair, at the lag at which the envelopes are most alike: correlation, gain in decibels, lag."""
        of, by, of2, by2, both = self._moments / np.maximum(self._weights, 1e-9)[..., None]
        spread = (of2 - of * of).sum(-1) * (by2 - by * by).sum(-1)
        alike = (both - of * by).sum(-1) / np.sqrt(np.maximum(spread, 1e-6))
        alike[self._weights < _LEAST * (1 - _LEAST / (2 * _OVER))] = 0.0
        lags = alike.argmax(0)
        at = (lags, *np.indices(lags.shape))
        return alike[at], (by - of).mean(-1)[at], lags

    def _repetitions(
        self, alike: _Pairs, gain_db: _Pairs, lags: Int[np.ndarray, "of channels"]
    ) -> Bool[np.ndarray, "of channels"]:
        """Which channel repeats which one now."""
        of, by = np.indices(lags.shape)
        spoke = np.stack([self._speech[lag : lag + _TAIL + 1].any(0) for lag in range(_LAGS)])[lags, of]
        around = np.stack([self._totals[max(0, lag - 1) : lag + 3].max(0) for lag in range(_LAGS)])[lags, of]
        own = self._totals[0] > around + gain_db + np.maximum(_OWN_DB, -gain_db / 2)
        quieter = (alike >= _ALIKE) & (gain_db < -_SAME_DB)
        same = (alike >= _SAME) & (np.abs(gain_db) <= _SAME_DB) & (of < by)
        found: Bool[np.ndarray, "of channels"] = spoke & ~own & (quieter | same)
        return found


def band_levels(samples: Float32[np.ndarray, "channels samples"]) -> Float64[np.ndarray, "channels bands"]:
    """The level of each band in one frame, in decibels below full scale."""
    power = np.abs(np.fft.rfft(samples * _WINDOW)) ** 2 * 2 / (_WINDOW**2).sum() / len(_WINDOW)
    bands = np.add.reduceat(power, _BINS, axis=1)[:, :-1]
    levels: Float64[np.ndarray, "channels bands"] = 10 * np.log10(np.maximum(bands, 10 ** (_FLOOR_DB / 10)))
    return levels


def _push(recent: np.ndarray, newest: np.ndarray) -> None:
    recent[1:] = recent[:-1].copy()
    recent[0] = newest
