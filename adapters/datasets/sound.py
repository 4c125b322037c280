"""Sound files of voice clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float32

from adapters.datasets.records import Clip
from adapters.errors import AdapterError

RATE_HZ = 16_000


def read_mono(path: Path) -> Float32[np.ndarray, " samples"]:
    """The samples of a mono sound file of 16 kHz.

    Raises:
        AdapterError: It is something else, or damaged.
    """
    if not path.is_file():
        raise AdapterError(f"{path} is missing, or no ordinary file: copy it again or take it out")
    try:
        with path.open("rb") as file:  # by its name, libsndfile would look for a resource fork beside it
            samples, rate = soundfile.read(file, dtype="float32")
    # The last two: a .raw, and a length made up.
    except (OSError, soundfile.SoundFileError, TypeError, MemoryError) as error:
        raise AdapterError(f"{path} is damaged or no sound file, copy it again or take it out: {error}") from error
    if rate != RATE_HZ or samples.ndim != 1 or len(samples) == 0:
        raise AdapterError(f"{path} has {rate} Hz and shape {samples.shape}: convert it to 16 kHz mono")
    mono: Float32[np.ndarray, " samples"] = samples
    return mono


def read_clip(clip: Clip) -> Float32[np.ndarray, " samples"]:
    """The samples of a clip.

    Raises:
        AdapterError: As `read_mono`.
    """
    samples = read_mono(clip.path)
    return samples if clip.span is None else samples[slice(*clip.span)]
