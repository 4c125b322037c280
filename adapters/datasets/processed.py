"""The processed feature files of MSE-Adapter (MELD, CHERMA) and of MMSA (MOSEI, SIMS-V2).

MSE-Adapter: ``<set>_{train,valid,test}.pkl``, each a list of ``{features: {video, audio, text, audio_len, video_len},
label}``; labels are names: MELD's, or CHERMA's in Chinese (`CHERMA_LABELS`). Widths (audio, video): MELD 64, 64;
CHERMA 1024, 2048. MMSA (Mao et al., "M-SENA", ACL 2022): one dict of splits ``train``, ``valid`` and ``test``, each
with ``raw_text``, ``audio``, ``vision``, ``regression_labels``, ``audio_lengths`` and ``vision_lengths``: MOSEI as
``unaligned_50.pkl`` (74, 35; 16326 / 1871 / 4659 rows; scores in [-3, 3]) and SIMS-V2 as ``ch-simsv2s.pkl`` (25, 177;
2722 / 647 / 1034; [-1, 1]). Licences are those of the sets: MELD GPL-3.0; CHERMA, MOSEI and SIMS-V2 research use.
Quirks: frames are padded at the end; here each sequence is cut to its own length. MMSA's acoustic features hold minus
infinity (the logarithm of silence) and its faces not-a-number (nothing tracked): both become zero, as in MMSA. Rows
with fields missing, a length of no frames or more than there are, other numbers that are not finite, or no usable label
are refused and counted. A file is read once, in a process of its own, and its samples are kept in the training cache.

Letters: ``time`` frames of a sequence, ``dim`` its width.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import zipfile  # noqa: F401  # numpy needs it where no module can be opened any more
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float32

from adapters.contract import MELD_LABELS, NEGATIVE, NEUTRAL, POSITIVE, SURPRISE, LabelSet
from adapters.datasets.cache import clean_up, training_folder
from adapters.datasets.corpus import Corpus
from adapters.datasets.unpickle import Unpickler, convert, limited
from adapters.errors import AdapterError

CHERMA_LABELS = LabelSet.of(
    "cherma",
    {
        "anger": NEGATIVE,
        "disgust": NEGATIVE,
        "fear": NEGATIVE,
        "joy": POSITIVE,
        "neutral": NEUTRAL,
        "sadness": NEGATIVE,
        "surprise": SURPRISE,
    },
)
_CHERMA_NAMES = ("愤怒", "厌恶", "恐惧", "高兴", "平静", "悲伤", "惊奇")
_NAMES = {
    "meld": {name: name for name in MELD_LABELS.labels},
    "cherma": dict(zip(_CHERMA_NAMES, CHERMA_LABELS.labels, strict=True)),
}
_MMSA = "mmsa"
_VERSION = 1
"""Goes up when a file's samples become others."""

_SPARE = 2**24  # numbers beyond those that a file has room for: rows may share what is absent
_MSE_KEYS = ("text", "audio", "audio_len", "video", "video_len")
_MMSA_KEYS = ("raw_text", "audio", "vision", "regression_labels", "audio_lengths", "vision_lengths")


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One utterance; ``label`` is a class's English name for emotions, a number for sentiment."""

    text: str
    audio: Float32[np.ndarray, "time dim"]
    video: Float32[np.ndarray, "time dim"]
    label: str | float


@dataclass(frozen=True, slots=True)
class Samples:
    """A split, and how many rows were refused for which reason."""

    samples: tuple[Sample, ...]
    refused: Counter[str]

    def __len__(self) -> int:
        return len(self.samples)


class _Room:
    """How many numbers a file may still come to: a small file may name one row a thousand times."""

    def __init__(self, size: int) -> None:
        self._left = 2 * size + _SPARE  # MMSA's are gone through twice

    def take(self, count: int) -> bool:
        """Whether there is room for more; it is taken if so."""
        if count > self._left:
            return False
        self._left -= count
        return True


def file_of(name: str, split: str) -> str:
    """The name of a set's file; MMSA's hold all splits."""
    return {"mosei": "unaligned_50.pkl", "sims-v2": "ch-simsv2s.pkl"}.get(name, f"{name}_{split}.pkl")


def load(name: str, place: Path, split: str) -> Samples:
    """Read one split.

    Args:
        name: ``meld``, ``cherma``, ``mosei`` or ``sims-v2``.
        place: The folder with the set's files, or its file.
        split: ``train``, ``valid`` or ``test``.

    Raises:
        AdapterError: There is no such file or split, or it is something else.
    """
    path = place if place.is_file() else place / file_of(name, split)
    return _converted(path, name if name in _NAMES else _MMSA, split)


def _converted(path: Path, name: str, split: str) -> Samples:
    """The samples of a file, from the cache or read from the file and put there."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:24]
            kept = training_folder() / f"processed-{_VERSION}-{name}-{split}-{digest}.npz"
            if not kept.exists():
                file.seek(0)
                kept.parent.mkdir(parents=True, exist_ok=True)
                partial = kept.with_suffix(f".{os.getpid()}.partial")
                try:
                    with partial.open("wb") as out:
                        convert("adapters.datasets.processed", (name, split), file, out)
                    partial.rename(kept)
                finally:
                    partial.unlink(missing_ok=True)
    except FileNotFoundError as error:
        raise AdapterError(f"no pickle at {path}") from error
    except OSError as error:
        raise AdapterError(f"{path} cannot be read: {error}") from error
    except AdapterError as error:
        raise AdapterError(f"{path} {error}") from error
    samples = _load(kept)
    os.utime(kept)
    clean_up(spare=kept)
    return samples


def _save(samples: Samples, out: BinaryIO) -> None:
    """Write samples as .npz: the frames of all of them one after the other, everything else as JSON."""
    rows, nothing = samples.samples, np.zeros(0, np.float32)
    head = {
        "refused": samples.refused,
        "texts": [row.text for row in rows],
        "labels": [row.label for row in rows],
        "audio": [row.audio.shape for row in rows],
        "video": [row.video.shape for row in rows],
    }
    audio = np.concatenate([nothing, *(row.audio.ravel() for row in rows)])
    video = np.concatenate([nothing, *(row.video.ravel() for row in rows)])
    np.savez(out, head=np.frombuffer(json.dumps(head).encode(), np.uint8), audio=audio, video=video)


def _load(path: Path) -> Samples:
    with np.load(path) as kept:
        head = json.loads(kept["head"].tobytes())
        audio, video = (_tables(kept[kind], head[kind]) for kind in ("audio", "video"))
    return Samples(tuple(map(Sample, head["texts"], audio, video, head["labels"])), Counter(head["refused"]))


def _tables(joined: np.ndarray[Any, Any], shapes: list[list[int]]) -> list[np.ndarray[Any, Any]]:
    parts = np.split(joined, np.cumsum([time * dim for time, dim in shapes], dtype=int))  # and what is left, nothing
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=False)]


def read_mse(rows: Any, name: str, size: int) -> Samples:
    """The samples in what a file of MSE-Adapter's holds.

    Raises:
        AdapterError: It is something else.
    """
    if not isinstance(rows, list):
        raise AdapterError(f"holds a {type(rows).__name__}, not a list of utterances")
    kept: list[Sample] = []
    refused: Counter[str] = Counter()
    room = _Room(size)
    for row in rows:
        missing = _missing(("features", "label"), row) or _missing(_MSE_KEYS, row["features"])
        if missing:
            refused[missing] += 1
            continue
        text, audio, audio_length, video, video_length = (row["features"][key] for key in _MSE_KEYS)
        label = _name(row["label"], name)
        _keep(_sample(label, text, audio, audio_length, video, video_length, room), kept, refused)
    return Samples(tuple(kept), refused)


def read_mmsa(splits: Any, split: str, size: int) -> Samples:
    """The samples of one split in what a file of MMSA's holds.

    Raises:
        AdapterError: There is no such split, or it is something else.
    """
    if not isinstance(splits, dict) or split not in splits:
        raise AdapterError(f"has no split {split!r}")
    columns = splits[split]
    missing = _missing(_MMSA_KEYS, columns)
    if missing:
        raise AdapterError(f"has {missing} in its split {split!r}")
    lengths = {key: _length(columns[key]) for key in _MMSA_KEYS}
    if len(set(lengths.values())) != 1:
        raise AdapterError(f"has columns of different lengths in its split {split!r}: {lengths}")
    kept: list[Sample] = []
    refused: Counter[str] = Counter()
    room = _Room(size)
    for text, audio, vision, label, audio_length, vision_length in zip(*(columns[k] for k in _MMSA_KEYS), strict=True):
        audio, vision = _zeroed(audio, np.isneginf, room), _zeroed(vision, np.isnan, room)
        _keep(_sample(_score(label), text, audio, audio_length, vision, vision_length, room), kept, refused)
    return Samples(tuple(kept), refused)


def _missing(keys: tuple[str, ...], found: Any) -> str:
    """Which keys something lacks, in words; empty where it has them all."""
    missing = [key for key in keys if not isinstance(found, dict) or key not in found]
    return f"no {', '.join(missing)}" if missing else ""


def _name(label: Any, name: str) -> str | None:
    """The class's name in English, from its name or id in the file."""
    names = _NAMES[name]
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(names):
        return list(names.values())[label]
    return names.get(label) if isinstance(label, str) else None


def _length(column: Any) -> int:
    """Rows of a column; -1 where it is none."""
    return len(column) if isinstance(column, (list, tuple)) or (isinstance(column, np.ndarray) and column.ndim) else -1


def _score(label: Any) -> float | None:
    """The sentiment, or None where it is no number."""
    if isinstance(label, np.ndarray) and label.size == 1:
        label = label.reshape(())[()]
    try:
        value = float(label) if isinstance(label, (int, float, np.number)) else math.nan
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def _sample(
    label: str | float | None,
    text: Any,
    audio: Any,
    audio_length: Any,
    video: Any,
    video_length: Any,
    room: _Room,
) -> Sample | str:
    """A sample, or why the row is refused."""
    if label is None:
        return "no usable label"
    if not isinstance(text, str):
        return f"the text is a {type(text).__name__}"
    voice, face = _cut(audio, audio_length, room), _cut(video, video_length, room)
    if isinstance(voice, str):
        return f"audio: {voice}"
    if isinstance(face, str):
        return f"video: {face}"
    return Sample(str(text), voice, face, label)


def _keep(sample: Sample | str, kept: list[Sample], refused: Counter[str]) -> None:
    if isinstance(sample, str):
        refused[sample] += 1
    else:
        kept.append(sample)


def _cut(frames: Any, length: Any, room: _Room) -> Float32[np.ndarray, "time dim"] | str:
    """A sequence at its own length, or why that cannot be."""
    values = _numbers(frames, room)
    if values is None or not isinstance(length, (int, np.integer)):
        return "not a table of numbers with a length"
    end = int(length)
    if values.ndim != 2:
        return f"{values.ndim} axes instead of 2"
    if not values.shape[1]:
        return "frames without numbers"
    if not 0 < end <= len(values):
        return "a length of no frames, or of more than there are"
    cut: Float32[np.ndarray, "time dim"] = values[:end]
    return cut if np.isfinite(cut).all() else "numbers that are not finite"


def _zeroed(frames: Any, unusable: Callable[[Any], Any], room: _Room) -> Any:
    """The frames with zeros where a number says that there was nothing."""
    values = _numbers(frames, room)
    return None if values is None else np.where(unusable(values), np.float32(0.0), values)


def _numbers(frames: Any, room: _Room) -> np.ndarray[Any, np.dtype[np.float32]] | None:
    """A table of numbers, from an array or from a list of rows; None where it is none, or has no room."""
    if isinstance(frames, (list, tuple)):
        rows = [row if isinstance(row, (list, tuple)) else [row] for row in frames]
        count = sum(map(len, rows))
    elif isinstance(frames, np.ndarray) and frames.dtype.kind in "biufO":
        rows, count = [], frames.size
    else:
        return None
    if not room.take(count):
        return None
    if not all(isinstance(value, (int, float, np.number)) for row in rows for value in row):
        return None
    try:
        return np.asarray(frames, dtype=np.float32)
    except (OverflowError, TypeError, ValueError):
        return None


def _convert(size: int) -> None:
    """A pickle's samples, from standard input to standard output."""
    name, split = sys.argv[1:]
    found = Unpickler(sys.stdin.buffer).load()
    samples = read_mmsa(found, split, size) if name == _MMSA else read_mse(found, name, size)
    _save(samples, sys.stdout.buffer)


_SPLITS = {"train": "", "valid": "", "test": ""}
MELD = Corpus("meld-processed", "MELD by MSE-Adapter", "GPL-3.0", Samples, MELD_LABELS, _SPLITS, partial(load, "meld"))
CHERMA = Corpus(
    "cherma", "CHERMA by MSE-Adapter", "research use", Samples, CHERMA_LABELS, _SPLITS, partial(load, "cherma")
)
MOSEI = Corpus("mosei", "CMU-MOSEI by MMSA", "research use", Samples, None, _SPLITS, partial(load, "mosei"))
SIMS_V2 = Corpus("sims-v2", "CH-SIMS v2.0 by MMSA", "research use", Samples, None, _SPLITS, partial(load, "sims-v2"))


if __name__ == "__main__":
    limited(_convert)
