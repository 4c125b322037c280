"""One vector per turn of voice: moments of the speech states and functionals of the prosody.

Letters: ``frames`` of 20 ms; columns as `adapters.features.acoustic.SPEC` has them.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from adapters.features.acoustic import STATES

VERSION = 1  # raised whenever the same frames would give another vector
SUMMARY_DIM = 2 * STATES + 32


def _spread(values: np.ndarray) -> list[float]:
    """Mean, standard deviation, 20th, 50th and 80th percentile; zeros of nothing."""
    if len(values) == 0:
        return [0.0] * 5
    low, middle, high = np.percentile(values, (20, 50, 80))
    return [float(values.mean()), float(values.std()), float(low), float(middle), float(high)]


def _functionals(prosody: Float32[np.ndarray, "frames 8"]) -> Float32[np.ndarray, " functionals"]:
    pitch, voicing, level, *spectral, flux = prosody.T
    voiced = pitch > 0
    speech = level > level.max() - 30.0
    relative = level[speech] - level.max()
    steps = np.diff(pitch)[voiced[1:] & voiced[:-1]]
    starts = np.count_nonzero(voiced[1:] & ~voiced[:-1])
    smooth = np.convolve(level, np.ones(5) / 5, mode="same")
    inner = smooth[1:-1]
    beats = np.count_nonzero((inner > smooth[:-2]) & (inner >= smooth[2:]) & (inner > level.max() - 20.0))
    seconds = max(len(level) * 0.02, 0.1)
    values = [
        *_spread(pitch[voiced]),
        *_spread(np.abs(steps)),
        *_spread(relative),
        *(moment for column in spectral for moment in (column[speech].mean(), column[speech].std())),
        *(moment for column in spectral for moment in (column[voiced].mean() if voiced.any() else 0.0,)),
        float(flux[speech].mean()),
        float(voicing[speech].mean()),
        float(voiced[speech].mean()),
        starts / seconds,
        beats / seconds,
    ]
    return np.array(values, np.float32)


def summarise(values: Float32[np.ndarray, "frames dim"]) -> Float32[np.ndarray, " summary"]:
    """The vector of one turn.

    Args:
        values: At least one frame: encoder states, then prosody.
    """
    states, prosody = values[:, :STATES], values[:, STATES:]
    return np.concatenate([states.mean(0), states.std(0), _functionals(prosody)]).astype(np.float32)
