"""One vector per turn of voice: moments of the speech states and functionals of the prosody.

Letters: ``frames`` of 20 ms; columns as `adapters.features.acoustic.SPEC` has them; ``summary`` the vector's width.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32

from adapters.features.acoustic import STATES
from adapters.features.prosody import CEPSTRUM, CONTOURS

VERSION = 2  # raised whenever the same frames would give another vector
_CONTOUR_FUNCTIONALS = 32
_SHAPE_FUNCTIONALS = 11
FUNCTIONALS = _CONTOUR_FUNCTIONALS + 3 * len(CEPSTRUM) + _SHAPE_FUNCTIONALS
SUMMARY_DIM = 2 * STATES + FUNCTIONALS

# Columns by what they hold; the voice classifier's views differ in them.
EVERYTHING = tuple(range(SUMMARY_DIM))
PROSODY = tuple(range(2 * STATES, SUMMARY_DIM))

_SHORTEST_STRETCH = 5  # frames of voice over which a slope is taken


def _distribution(values: np.ndarray) -> list[float]:
    """Mean, standard deviation, 20th, 50th and 80th percentile; zeros of nothing."""
    if len(values) == 0:
        return [0.0] * 5
    low, middle, high = np.percentile(values, (20, 50, 80))
    return [float(values.mean()), float(values.std()), float(low), float(middle), float(high)]


def _contours(values: Float32[np.ndarray, "frames 8"], voiced: Bool[np.ndarray, " frames"]) -> list[float]:
    """Levels and deviations of pitch, loudness and spectral balance, and how fast syllables follow each other."""
    pitch, voicing, level, *spectral, flux = values.T
    speech = level > level.max() - 30.0
    steps = np.diff(pitch)[voiced[1:] & voiced[:-1]]
    starts = np.count_nonzero(voiced[1:] & ~voiced[:-1])
    smooth = np.convolve(level, np.ones(5) / 5, mode="same")
    inner = smooth[1:-1]
    beats = np.count_nonzero((inner > smooth[:-2]) & (inner >= smooth[2:]) & (inner > level.max() - 20.0))
    seconds = max(len(level) * 0.02, 0.1)
    return [
        *_distribution(pitch[voiced]),
        *_distribution(np.abs(steps)),
        *_distribution(level[speech] - level.max()),
        *(float(moment) for column in spectral for moment in (column[speech].mean(), column[speech].std())),
        *(float(column[voiced].mean()) if voiced.any() else 0.0 for column in spectral),
        float(flux[speech].mean()),
        float(voicing[speech].mean()),
        float(voiced[speech].mean()),
        starts / seconds,
        beats / seconds,
    ]


def _stretches(voiced: Bool[np.ndarray, " frames"]) -> list[slice]:
    """The unbroken stretches of voice that are long enough for a slope."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], voiced, [False]]).astype(np.int8)))
    return [slice(a, b) for a, b in edges.reshape(-1, 2) if b - a >= _SHORTEST_STRETCH]


def _slope(values: np.ndarray) -> float:
    at = np.arange(len(values)) - (len(values) - 1) / 2
    return float(at @ values / (at @ at))


def _shapes(values: Float32[np.ndarray, "frames 8"], voiced: Bool[np.ndarray, " frames"]) -> list[float]:
    """How pitch and loudness rise and fall within stretches of voice."""
    pitch, level = values[:, 0], values[:, 2]
    stretches = _stretches(voiced)
    rises = np.array([_slope(pitch[stretch]) for stretch in stretches] or [0.0])
    swells = np.array([_slope(level[stretch]) for stretch in stretches] or [0.0])
    lengths = np.array([stretch.stop - stretch.start for stretch in stretches] or [0])
    shapes = [rises.mean(), rises.std(), rises.max(), rises.min(), swells.mean(), swells.std()]
    shapes += [lengths.mean(), lengths.std()]
    if voiced.any():
        high, low = np.percentile(pitch[voiced], (95, 5))
        shapes += [pitch[voiced].max(), high - low, level[voiced].std()]
    else:
        shapes += [0.0, 0.0, 0.0]
    return [float(shape) for shape in shapes]


def summarise(values: Float32[np.ndarray, "frames dim"]) -> Float32[np.ndarray, " summary"]:
    """The vector of one turn.

    Args:
        values: At least one frame: encoder states, then prosody.
    """
    states, contours = values[:, :STATES], values[:, STATES : STATES + len(CONTOURS)]
    cepstrum = values[:, STATES + len(CONTOURS) :]
    voiced = contours[:, 0] > 0
    level = contours[:, 2]
    speech = voiced if np.count_nonzero(voiced) > 3 else level > level.max() - 30.0
    moves = np.abs(np.diff(cepstrum, axis=0))[speech[1:]]
    parts = (
        states.mean(0),
        states.std(0),
        _contours(contours, voiced),
        cepstrum[speech].mean(0),
        cepstrum[speech].std(0),
        moves.mean(0) if len(moves) else np.zeros(len(CEPSTRUM)),
        _shapes(contours, voiced),
    )
    return np.concatenate(parts).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class VoiceProfile:
    """How a speaker sounded in earlier turns, for speaker normalisation.

    Attributes:
        turns: How many turns had a voice.
        total: The sum of their summaries.
    """

    turns: int = 0
    total: Float32[np.ndarray, " summary"] = field(default_factory=lambda: np.zeros(SUMMARY_DIM, np.float32))

    def updated(self, summary: Float32[np.ndarray, " summary"]) -> VoiceProfile:
        """The profile with one more turn in it."""
        return VoiceProfile(self.turns + 1, self.total + summary)
