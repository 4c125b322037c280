"""Voice features: the states of Whisper's encoder, in a window that fits the turn, and the prosody beside them.

One pass of the encoder serves both the decoder that writes the transcript and the adapter. Whisper's own pipelines pad
every input to 30 s; here the window is the turn, then about 3 s of silence (with less the decoder tends to repeat
itself), so that a turn of 6 s costs a tenth of the work.

Letters: ``samples`` at 16 kHz, ``mel`` frames of 10 ms, ``frames`` encoder frames of 20 ms.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from jaxtyping import Float32

from adapters.assets import SPEECH_ENCODER, asset_folder
from adapters.contract import Features, FeatureSpec
from adapters.errors import AdapterError
from adapters.features.prosody import COLUMNS, prosody

RATE_HZ = 16_000
STATES = 512  # columns of a frame that are encoder states; those of `adapters.features.prosody` follow
SPEC = FeatureSpec("whisper-base-encoder+prosody", version=1, dim=STATES + len(COLUMNS), rate_hz=50.0)

_HOP = 160  # samples per mel frame
_MARGIN_S = 3.0  # silence after the turn
_ROOM_S = 10.0  # where the decoder needs more of it
_STEP_S = 0.5  # windows come in multiples of this
_LONGEST_S = 30.0  # Whisper's positions end here


@dataclass(frozen=True, slots=True)
class Encoded:
    """What one pass of the encoder gave.

    Attributes:
        features: States and prosody of the turn itself, without the silence after it.
        output: The encoder's output for the whole window, as the decoder takes it.
    """

    features: Features
    output: ctranslate2.StorageView


def load_whisper(folder: Path, device: str = "cpu", threads: int = 1) -> ctranslate2.models.Whisper:
    """Load a Whisper; in 8 bits on a processor that supports it, in 16 on a GPU.

    A token costs one pass over all of the decoder's weights, so their size decides what it costs.

    Args:
        folder: In CTranslate2's format.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: Of one pass. A token is too little work to share: two threads take as long, for a third more work.

    Raises:
        RuntimeError: The folder holds no such model, or a damaged one.
    """
    if device == "auto":
        device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
    wanted = "int8_float32" if device == "cpu" else "float16"
    supported = ctranslate2.get_supported_compute_types(device)
    return ctranslate2.models.Whisper(
        str(folder), device=device, compute_type=wanted if wanted in supported else "float32", intra_threads=threads
    )


def window_s(turn_s: float, margin_s: float = _MARGIN_S) -> float:
    """Length in seconds of the window for a turn of ``turn_s`` seconds with so much silence after it."""
    return min(_LONGEST_S, math.ceil((turn_s + margin_s) / _STEP_S) * _STEP_S)


class WindowEncoder:
    """Runs the encoder of any Whisper over windows of several lengths; use from one thread at a time.

    Args:
        model: Loaded.

    Attributes:
        model: As given.
    """

    def __init__(self, model: ctranslate2.models.Whisper) -> None:
        self.model = model
        self._mel = FeatureExtractor(feature_size=model.n_mels)

    def fitting(self, samples: Float32[np.ndarray, " samples"]) -> ctranslate2.StorageView:
        """Encode one turn in a window that fits it."""
        return self._encode(samples, window_s(len(samples) / RATE_HZ))

    def roomy(self, samples: Float32[np.ndarray, " samples"]) -> ctranslate2.StorageView:
        """Encode one turn with more silence after it, for words that the fitting window gave no room to."""
        return self._encode(samples, window_s(len(samples) / RATE_HZ, _ROOM_S))

    def full(self, samples: Float32[np.ndarray, " samples"]) -> ctranslate2.StorageView:
        """Encode one turn in Whisper's own window of 30 s, likewise."""
        return self._encode(samples, _LONGEST_S)

    def _encode(self, samples: Float32[np.ndarray, " samples"], seconds: float) -> ctranslate2.StorageView:
        length = round(seconds * RATE_HZ)
        window = np.zeros(length, np.float32)
        kept = samples[:length]
        window[: len(kept)] = kept
        mel = self._mel(window)[None, :, : length // _HOP].astype(np.float32)
        return self.model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(mel)))


class SpeechEncoder:
    """A loaded Whisper base, read after its encoder; use from one thread at a time.

    Args:
        folder: Whisper base in CTranslate2's format; the pulled asset if not given.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: Threads of one pass; 0 takes one per core, four at most (more threads than cores wait for each other).

    Attributes:
        windows: Runs the encoder; its model serves a decoder of the same weights, too.

    Raises:
        AdapterError: The folder holds no such model, or a damaged one.
    """

    def __init__(self, folder: Path | None = None, device: str = "cpu", threads: int = 0) -> None:
        folder = folder or asset_folder(SPEECH_ENCODER)
        if not (folder / "model.bin").is_file():
            raise AdapterError(f"no speech encoder at {folder}: pull {SPEECH_ENCODER} or give its folder")
        try:
            model = load_whisper(folder, device, threads or min(4, os.cpu_count() or 1))
        except RuntimeError as error:
            raise AdapterError(f"the speech encoder at {folder} cannot be loaded: {error}") from error
        self.windows = WindowEncoder(model)

    def encode(self, samples: Float32[np.ndarray, " samples"]) -> Encoded:
        """Encode one turn in a window that fits it.

        Args:
            samples: The turn, 16 kHz, in [-1, 1]; samples beyond 30 s are ignored.

        Returns:
            ``ceil(seconds * 50)`` frames.
        """
        kept = samples[: round(_LONGEST_S * RATE_HZ)]
        output = self.windows.fitting(kept)
        on_cpu = output.to_device(ctranslate2.Device.cpu) if self.windows.model.device != "cpu" else output
        frames = math.ceil(len(kept) / RATE_HZ * SPEC.rate_hz)
        states = np.array(on_cpu, dtype=np.float32)[0, :frames]
        return Encoded(Features(SPEC, np.concatenate([states, prosody(kept, frames)], axis=1)), output)
