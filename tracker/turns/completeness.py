"""Whether a turn sounds complete where its speaker pauses: Smart Turn v3.2, on the audio alone.

It judges intonation and phrasing, not emotion, so a session whose voices must not be judged may use it. On one core it
takes about 50 ms, once per pause.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from faster_whisper.feature_extractor import FeatureExtractor
from jaxtyping import Float32

from tracker.sources.media import RATE_HZ

WINDOW_S = 8
_WINDOW = WINDOW_S * RATE_HZ
_EPSILON = 1e-7  # added to the variance, as in transformers.WhisperFeatureExtractor


class TurnCompleteness:
    """The probability that a speaker who pauses has finished.

    Args:
        folder: The asset ``smart-turn-v3``.
    """

    def __init__(self, folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.log_severity_level = 4
        model = folder / "smart-turn-v3.2-cpu.onnx"
        self._session = onnxruntime.InferenceSession(model, sess_options=options, providers=["CPUExecutionProvider"])
        self._mel = FeatureExtractor(chunk_length=WINDOW_S)

    def __call__(self, samples: Float32[np.ndarray, " samples"]) -> float:
        """Judge the last 8 s of a turn so far, the silence of its pause included.

        Returns:
            A probability: the network's output is one, although it is named ``logits``.
        """
        (probability,) = self._session.run(None, {"input_features": self.features(samples)[None]})
        return float(probability[0, 0])

    def features(self, samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "80 800"]:
        """Whisper's log-mel of the last 8 s, padded with silence in front, at zero mean and unit variance."""
        last = samples[-_WINDOW:]
        wave = np.concatenate([np.zeros(_WINDOW - len(last), np.float32), last])
        wave = (wave - wave.mean()) / np.sqrt(wave.var() + np.float32(_EPSILON))
        mel: Float32[np.ndarray, "80 800"] = self._mel(wave, padding=0).astype(np.float32)
        return mel
