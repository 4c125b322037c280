"""Sounds that people make beside words: samples in, laughter, crying, sighs and the like out, with their times.

The network is YAMNet (Hershey et al., "CNN Architectures for Large-Scale Audio Classification", ICASSP 2017; trained on
AudioSet's 521 classes), quantised to 8 bits. It hears windows of 0.96 s, one every 0.48 s. The front end is that of its
authors: magnitudes of a short-time Fourier transform (25 ms, 10 ms apart), 64 mel bands from 125 to 7500 Hz, and their
logarithm.

Letters: ``frames`` of 10 ms, ``windows``, ``classes`` of AudioSet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
from jaxtyping import Float32

from adapters.assets import SOUND_DETECTOR, asset_folder
from adapters.contract import EMOTIONAL, Sound
from adapters.errors import AdapterError, first_line

RATE_HZ = 16_000
HOP_S = 0.48
WINDOW_S = 0.96

_FRAME, _STEP, _FFT, _BANDS = 400, 160, 512, 64
_LOW_HZ, _HIGH_HZ = 125.0, 7500.0
_WINDOW = 96  # frames
_HOP = 48
_IN_SCALE, _IN_ZERO = 0.04793788, 144
_OUT_SCALE, _OUT_ZERO = 0.756542, 190
_CLASSES = 521

_SPEECH = (0, 2, 3)  # speech, conversation, narration


class Kind(NamedTuple):
    """How a sound is told; docs/results.md has what the numbers were chosen on.

    Attributes:
        classes: Those of AudioSet's that are taken for it.
        least: Log odds from which the greatest of them counts.
        above_speech: By how much it must be greater than the greatest of speech.
    """

    classes: tuple[int, ...]
    least: float
    above_speech: float


KINDS = {
    "laughter": Kind((13, 15, 16, 17, 18), -2.0, 0.5),
    "crying": Kind((19, 20, 21, 22), -1.6, 1.6),
    "sigh": Kind((23,), 0.0, 3.0),
    "gasp": Kind((39,), 1.0, 3.0),
    "scream": Kind((11,), -1.6, 1.0),
    "cough": Kind((42, 43), 0.0, 3.0),
}


class SoundDetector:
    """Hears what is no speech.

    Args:
        folder: With the network; the pulled asset if not given.

    Raises:
        AdapterError: The folder holds no such network, or a damaged one.
    """

    def __init__(self, folder: Path | None = None) -> None:
        path = (folder or asset_folder(SOUND_DETECTOR)) / "model.onnx"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise AdapterError(f"no sound network at {path} ({first_line(error)}): pull {SOUND_DETECTOR}") from error
        self._name = self._session.get_inputs()[0].name
        self._mel = _mel_matrix()

    def __call__(self, samples: Float32[np.ndarray, " samples"]) -> list[Sound]:
        """The sounds in some audio, by the time of their beginning."""
        return sounds_in(self.scores(samples), len(samples) / RATE_HZ)

    def emotional(self, samples: Float32[np.ndarray, " samples"]) -> bool:
        """Whether somebody laughs, cries or screams."""
        return any(sound.label in EMOTIONAL for sound in self(samples))

    def scores(self, samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "windows classes"]:
        """Log odds of AudioSet's classes in each window; the last one is filled up with silence."""
        mel = self._log_mel(samples)
        starts = range(0, max(1, len(mel) - _WINDOW + _HOP), _HOP)
        mel = np.pad(mel, ((0, max(0, starts[-1] + _WINDOW - len(mel))), (0, 0)), constant_values=np.log(0.001))
        rows = []
        for start in starts:
            patch = np.round(mel[start : start + _WINDOW] / _IN_SCALE + _IN_ZERO).clip(0, 255).astype(np.uint8)
            (out,) = self._session.run(None, {self._name: patch[None, None]})
            rows.append((out[0].astype(np.float32) - _OUT_ZERO) * _OUT_SCALE)
        return np.stack(rows)

    def _log_mel(self, samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "frames 64"]:
        padded = np.pad(samples, (0, max(0, _FRAME - len(samples))))
        frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_STEP]
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FRAME) / _FRAME)
        spectrum = np.abs(np.fft.rfft(frames * hann, _FFT))
        log_mel: Float32[np.ndarray, "frames 64"] = np.log(spectrum @ self._mel + 0.001).astype(np.float32)
        return log_mel


def sounds_in(scores: Float32[np.ndarray, "windows classes"], seconds: float) -> list[Sound]:
    """The sounds, from the log odds of windows: the clearest one of each, and neighbours with the same one together.

    Args:
        scores: Of all windows.
        seconds: Length of the audio.
    """
    speech = scores[:, _SPEECH].max(1)
    levels = np.stack([scores[:, kind.classes].max(1) for kind in KINDS.values()])
    least, above = (np.array([[kind[which]] for kind in KINDS.values()]) for which in (1, 2))
    beyond = np.minimum(levels - least, levels - speech - above)
    clearest = np.where(beyond.max(0) >= 0, beyond.argmax(0), -1)
    found: list[Sound] = []
    for number, label in enumerate(KINDS):
        for run in _runs(clearest == number):
            confidence = 1.0 / (1.0 + np.exp(-(levels - least)[number, run].max()))
            end_s = min(seconds, run[-1] * HOP_S + WINDOW_S)
            found.append(Sound(label, run[0] * HOP_S, end_s, float(confidence)))
    return sorted(found, key=lambda sound: sound.start_s)


def _runs(on: np.ndarray) -> list[Sequence[int]]:
    """Indices of what is on, neighbours together."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(np.int8), [0]])))
    return [range(a, b) for a, b in edges.reshape(-1, 2)]


def _mel_matrix() -> Float32[np.ndarray, "bins 64"]:
    """Triangles in mel (HTK's formula), linear in mel, as TensorFlow makes them."""

    def mel(hz: np.ndarray | float) -> np.ndarray:
        return 1127.0 * np.log1p(np.asarray(hz) / 700.0)

    bins = mel(np.linspace(0.0, RATE_HZ / 2, _FFT // 2 + 1))[:, None]
    edges = np.linspace(mel(_LOW_HZ), mel(_HIGH_HZ), _BANDS + 2)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(0.0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))
    weights[0] = 0.0
    matrix: Float32[np.ndarray, "bins 64"] = weights.astype(np.float32)
    return matrix
