"""The processed feature files of MSE-Adapter (MELD, CHERMA) and of MMSA (MOSEI, SIMS-V2).

MSE-Adapter: ``<set>_{train,valid,test}.pkl``, each a list of ``{features: {video, audio, text, audio_len, video_len},
label}``. MMSA (Mao et al., "M-SENA", ACL 2022): one dict of splits, each with ``raw_text``, ``audio``, ``vision``,
``regression_labels``, ``audio_lengths`` and ``vision_lengths``. Frames are padded at the end; here each sequence is
cut to its own length. Rows with a length of no frames or more than there are, with numbers that are not finite, or
without a label are refused and counted.

Letters: ``time`` frames of a sequence, ``dim`` its width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from adapters.datasets.unpickle import unpickle
from adapters.errors import AdapterError

_MMSA_KEYS = ("raw_text", "audio", "vision", "regression_labels", "audio_lengths", "vision_lengths")


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One utterance; ``label`` is a class name or id for emotions, a number for sentiment."""

    text: str
    audio: Float32[np.ndarray, "time dim"]
    video: Float32[np.ndarray, "time dim"]
    label: str | int | float


@dataclass(frozen=True, slots=True)
class Samples:
    """A split, and how many rows were refused for which reason."""

    samples: tuple[Sample, ...]
    refused: Counter[str]


def load_mse(folder: Path, name: str, split: str) -> Samples:
    """Read MSE-Adapter's file of one split.

    Args:
        folder: Where the files are.
        name: ``meld`` or ``cherma``, as the file's name has it.
        split: ``train``, ``valid`` or ``test``.

    Raises:
        AdapterError: There is no such file, or it is something else.
    """
    path = folder / f"{name}_{split}.pkl"
    rows = unpickle(path)
    if not isinstance(rows, list):
        raise AdapterError(f"{path} holds a {type(rows).__name__}, not a list of utterances")

    def fields(row: Any) -> tuple[Any, ...]:
        found = row["features"]
        return found["text"], found["audio"], found["audio_len"], found["video"], found["video_len"], row["label"]

    return _samples(map(_guarded(fields), rows))


def load_mmsa(path: Path, split: str) -> Samples:
    """Read one split of an MMSA file.

    Args:
        path: For example ``unaligned_50.pkl``.
        split: ``train``, ``valid`` or ``test``.

    Raises:
        AdapterError: There is no such file or split, or it is something else.
    """
    splits = unpickle(path)
    if not isinstance(splits, dict) or split not in splits:
        raise AdapterError(f"{path} has no split {split!r}")
    columns = splits[split]
    missing = [key for key in _MMSA_KEYS if key not in columns]
    if missing:
        raise AdapterError(f"{path}, split {split}: no {', '.join(missing)}")
    text, audio, vision, labels, audio_lengths, vision_lengths = (columns[key] for key in _MMSA_KEYS)
    return _samples(zip(text, audio, audio_lengths, vision, vision_lengths, labels, strict=True))


def _guarded(fields: Any) -> Any:
    """The fields of a row, or None where it lacks one."""

    def guarded(row: Any) -> tuple[Any, ...] | None:
        try:
            found: tuple[Any, ...] = fields(row)
        except (KeyError, TypeError):
            return None
        return found

    return guarded


def _samples(rows: Iterable[tuple[Any, ...] | None]) -> Samples:
    kept: list[Sample] = []
    refused: Counter[str] = Counter()
    for row in rows:
        if row is None:
            refused["fields are missing"] += 1
            continue
        text, audio, audio_length, video, video_length, label = row
        if isinstance(label, np.generic):
            label = label.item()
        voice, face = _cut(audio, audio_length), _cut(video, video_length)
        if voice is None or face is None:
            refused["a sequence without usable frames"] += 1
        elif not isinstance(label, str | int | float) or label != label:
            refused["no label"] += 1
        else:
            kept.append(Sample(str(text), voice, face, label))
    return Samples(tuple(kept), refused)


def _cut(frames: Any, length: Any) -> Float32[np.ndarray, "time dim"] | None:
    """A sequence at its own length, or None where that cannot be."""
    values = np.asarray(frames, dtype=np.float32)
    if values.ndim != 2 or not 0 < int(length) <= len(values):
        return None
    cut: Float32[np.ndarray, "time dim"] = values[: int(length)]
    return cut if np.isfinite(cut).all() else None
