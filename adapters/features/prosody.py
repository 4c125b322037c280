"""How a voice moves: pitch, loudness, spectral balance and timbre per 20 ms, in plain numpy.

After the parameter sets of Eyben et al. 2016 (GeMAPS): pitch in semitones, loudness, spectral balance, and the mel
cepstrum; computed here from one short-time Fourier transform instead of with openSMILE, whose licence forbids
commercial use, so the numbers are like GeMAPS's but not the same.

Letters: ``samples`` at 16 kHz, ``frames`` of 20 ms, ``bins`` of the spectrum.
"""

from __future__ import annotations

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from jaxtyping import Float32

CONTOURS = ("pitch_st", "voicing", "level_db", "alpha_db", "hammarberg_db", "slope_low", "slope_mid", "flux_db")
CEPSTRUM = tuple(f"mfcc{order}" for order in range(1, 17))
COLUMNS = CONTOURS + CEPSTRUM

_RATE_HZ = 16_000
_HOP, _FRAME, _FFT = 320, 800, 2048
_LOWEST_HZ, _HIGHEST_HZ = 65.0, 500.0
_VOICED_FROM = 0.45  # normalised autocorrelation; Boersma 1993 uses the same threshold
_FLOOR = 1e-10
_BANDS = 40
_MEL = FeatureExtractor.get_mel_filters(_RATE_HZ, _FFT, _BANDS).astype(np.float32)  # Slaney's
_DCT = np.cos(np.pi * np.outer(np.arange(1, 17), np.arange(_BANDS) + 0.5) / _BANDS) * np.sqrt(2 / _BANDS)


def _power(samples: Float32[np.ndarray, " samples"], frames: int) -> Float32[np.ndarray, "frames bins"]:
    padded = np.pad(samples, (_FRAME // 2, _FRAME // 2 + _HOP * frames))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP][:frames]
    spectrum = np.fft.rfft(windows * np.hanning(_FRAME), n=_FFT, axis=1)
    return (spectrum.real**2 + spectrum.imag**2).astype(np.float32)


def _pitch(power: Float32[np.ndarray, "frames bins"]) -> tuple[np.ndarray, np.ndarray]:
    """Semitones over 27.5 Hz (0 where unvoiced) and strength of the periodicity, by autocorrelation (Boersma 1993)."""
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(_FRAME), n=_FFT)) ** 2)
    shortest, longest = int(_RATE_HZ / _HIGHEST_HZ), int(_RATE_HZ / _LOWEST_HZ)
    correlation = np.fft.irfft(power, axis=1)[:, : longest + 1]
    correlation = correlation / (correlation[:, :1] + _FLOOR) / (window[: longest + 1] / window[0])
    lags = np.arange(shortest, longest + 1)
    weighted = correlation[:, shortest:] - 0.01 * np.log2(lags * _LOWEST_HZ / _RATE_HZ)  # prefer the higher octave
    best = lags[np.argmax(weighted, axis=1)]
    strength = np.clip(correlation[np.arange(len(best)), best], 0.0, 1.0)
    semitones = 12.0 * np.log2(_RATE_HZ / best / 27.5)
    return np.where(strength >= _VOICED_FROM, semitones, 0.0), strength


def _slope(decibel: np.ndarray, low: int, high: int) -> np.ndarray:
    """Least-squares slope in dB per kHz between two bins."""
    khz = np.arange(low, high) * _RATE_HZ / _FFT / 1000.0
    normalised = khz - khz.mean()
    slope: np.ndarray = decibel[:, low:high] @ normalised / (normalised @ normalised)
    return slope


def prosody(samples: Float32[np.ndarray, " samples"], frames: int) -> Float32[np.ndarray, "frames 24"]:
    """The columns of `COLUMNS`, one row per 20 ms.

    Args:
        samples: One turn.
        frames: Rows wanted.
    """
    power = _power(samples, frames)
    pitch, strength = _pitch(power)

    def bin_of(hz: float) -> int:
        return round(hz * _FFT / _RATE_HZ)

    decibel = 10.0 * np.log10(power + _FLOOR)

    def band(low: float, high: float) -> np.ndarray:
        total: np.ndarray = 10.0 * np.log10(power[:, bin_of(low) : bin_of(high)].sum(1) + _FLOOR)
        return total

    def peak(low: float, high: float) -> np.ndarray:
        top: np.ndarray = decibel[:, bin_of(low) : bin_of(high)].max(1)
        return top

    level = band(50, 8000)
    spectral = decibel[:, bin_of(100) : bin_of(4000)]
    flux = np.sqrt(np.mean(np.diff(spectral, axis=0, prepend=spectral[:1]) ** 2, axis=1))
    columns = (
        pitch,
        strength,
        level,
        band(50, 1000) - band(1000, 5000),
        peak(0, 2000) - peak(2000, 5000),
        _slope(decibel, bin_of(50), bin_of(500)),
        _slope(decibel, bin_of(500), bin_of(1500)),
        flux,
    )
    cepstrum = np.log(power @ _MEL.T + 1e-8) @ _DCT.T
    return np.concatenate([np.stack(columns, axis=1), cepstrum], axis=1).astype(np.float32)
