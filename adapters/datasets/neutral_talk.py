"""Neutral talk: telephone, meetings and read speech, taken as neutral so that a voice does not invent emotions.

Windows of 3 s, a new one every 1.5 s, from recordings that carry no emotion labels: AMI meetings trn03 to trn05 (CC BY
4.0), a telephone call (pyannote.audio's sample) and two LibriSpeech utterances (CC BY 4.0). The first 18 s of the call
and of each meeting may be trained on; the rest, and LibriSpeech as a whole, is held out. Quirk: that the talk is
neutral is an assumption, and people do laugh in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float32

from adapters.datasets.records import existing
from adapters.errors import AdapterError

_RATE_HZ = 16_000
_WINDOW_S, _STEP_S, _TRAIN_S, _LEAST_S = 3.0, 1.5, 18.0, 2.0
_RECORDINGS = {
    "telephone/sample.flac": True,
    "meetings/trn03.flac": True,
    "meetings/trn04.flac": True,
    "meetings/trn05.flac": True,
    "librispeech_pair/6930-75918-0000.flac": False,
    "librispeech_pair/7902-96591-0000.flac": False,
}


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of neutral talk.

    Attributes:
        recording: Where it is from.
        held_out: Whether it must not be trained on.
        samples: 16 kHz.
    """

    recording: str
    held_out: bool
    samples: Float32[np.ndarray, " samples"]


def read_mono(path: Path) -> Float32[np.ndarray, " samples"]:
    """The samples of a mono sound file of 16 kHz.

    Raises:
        AdapterError: It is something else, or damaged.
    """
    try:
        samples, rate = soundfile.read(path, dtype="float32")
    except (soundfile.SoundFileError, TypeError, MemoryError) as error:  # also of a .raw and of a length made up
        raise AdapterError(f"{path} is damaged or no sound file, copy it again or take it out: {error}") from error
    if rate != _RATE_HZ or samples.ndim != 1 or len(samples) == 0:
        raise AdapterError(f"{path} has {rate} Hz and shape {samples.shape}: convert it to 16 kHz mono")
    mono: Float32[np.ndarray, " samples"] = samples
    return mono


def windows(data: Path) -> Iterator[Window]:
    """All windows; none spans the border between training and held-out time.

    Args:
        data: Folder with ``telephone``, ``meetings`` and ``librispeech_pair``.

    Raises:
        AdapterError: A recording is missing.
    """
    for name, trainable in _RECORDINGS.items():
        samples = read_mono(existing(data / name, "neutral talk"))
        border = int(_TRAIN_S * _RATE_HZ) if trainable else 0
        for held_out, part in ((False, samples[:border]), (True, samples[border:])):
            for start in range(0, len(part), int(_STEP_S * _RATE_HZ)):
                window = part[start : start + int(_WINDOW_S * _RATE_HZ)]
                if len(window) >= _LEAST_S * _RATE_HZ:
                    yield Window(name, held_out, window)
