"""FER2013: faces found by an image search, 48 x 48 grey, one of seven emotions each.

Goodfellow et al., "Challenges in Representation Learning", ICONIP 2013. Licence: research use. Splits: ``Training``
(28709 faces), ``PublicTest`` (3589), ``PrivateTest`` (3589). Read is either the release's ``fer2013.csv`` (columns
``emotion,pixels,Usage``; emotions 0 to 6 are anger, disgust, fear, joy, sadness, surprise, neutral), or one
``SPLIT.npz`` per split with ``images`` (uint8, n x 48 x 48) and ``labels`` (0 to 6 in the order of MELD's labels).
Labels: `adapters.contract.MELD_LABELS`.
Quirks: 12 pictures of Training and 1 of PublicTest are of one grey only, and are refused; 1236 and 26 are copies of
another one of their split, and are kept; people agree with the labels in about 65 % of cases.

Letters: ``n`` faces.
"""

from __future__ import annotations

import lzma
import tokenize
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from adapters.contract import MELD_LABELS
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Faces, existing
from adapters.datasets.tables import read_rows
from adapters.errors import AdapterError

SIZE = 48
_RELEASED = ("anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral")
_ORDER = np.array([MELD_LABELS.labels.index(name) for name in _RELEASED])
_DAMAGED = (  # what zipfile and numpy may raise on a file that is no archive of arrays, or a broken one
    lzma.LZMAError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


def load(folder: Path, split: str) -> Faces:
    """Read one split.

    Args:
        folder: Where ``fer2013.csv`` or the ``.npz`` files are.
        split: ``Training``, ``PublicTest`` or ``PrivateTest``.

    Raises:
        AdapterError: There is no such file, or it is something else.
    """
    refused: Counter[str] = Counter()
    table = folder / "fer2013.csv"
    images, labels = _from_table(table, split, refused) if table.is_file() else _from_arrays(folder / f"{split}.npz")
    known = (labels >= 0) & (labels < len(MELD_LABELS))
    blank = images.min((1, 2)) == images.max((1, 2))
    refused.update(f"unknown emotion {label}" for label in labels[~known].tolist())
    refused["of one grey only"] += int((known & blank).sum())
    return Faces(images[known & ~blank], labels[known & ~blank], +refused)


def read_arrays(path: Path, names: tuple[str, str], what: str) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of an archive, as they are; nothing is unpickled.

    Args:
        path: The archive, ``.npz``.
        names: Of the arrays.
        what: What they are, in words.

    Raises:
        AdapterError: There is no such file, or it does not hold them.
    """
    try:
        with existing(path, what).open("rb") as file, np.lib.npyio.NpzFile(file) as arrays:
            first, second = (np.asarray(arrays[name]) for name in names)
    except _DAMAGED as error:
        raise AdapterError(f"{path} does not hold {' and '.join(names)}: {error}") from error
    return first, second


def _from_arrays(path: Path) -> tuple[UInt8[np.ndarray, "n 48 48"], Int64[np.ndarray, " n"]]:
    images, labels = read_arrays(path, ("images", "labels"), "FER2013 split")
    if (
        images.dtype != np.uint8
        or images.shape != (labels.size, SIZE, SIZE)
        or labels.ndim != 1
        or labels.dtype.kind not in "iu"
    ):
        raise AdapterError(
            f"{path} holds images {images.shape} {images.dtype} and labels {labels.shape} {labels.dtype}, "
            f"but faces of {SIZE} x {SIZE} in uint8 and as many whole numbers are wanted"
        )
    return images, labels.astype(np.int64)


def _from_table(
    path: Path, split: str, refused: Counter[str]
) -> tuple[UInt8[np.ndarray, "n 48 48"], Int64[np.ndarray, " n"]]:
    images: list[UInt8[np.ndarray, "48 48"]] = []
    labels: list[int] = []
    for row in read_rows(path, ("emotion", "pixels", "Usage"), refused):
        if row["Usage"] != split:
            if row["Usage"] not in SPLITS:
                refused[f"unknown split {row['Usage']!r}"] += 1
            continue
        face = _face(row["pixels"])
        if face is None:
            refused["pixels are not 48 x 48 numbers from 0 to 255"] += 1
        elif row["emotion"] not in {"0", "1", "2", "3", "4", "5", "6"}:
            refused[f"unknown emotion {row['emotion']}"] += 1
        else:
            images.append(face)
            labels.append(int(_ORDER[int(row["emotion"])]))
    return np.array(images, np.uint8).reshape(-1, SIZE, SIZE), np.array(labels, np.int64)


def _face(pixels: str) -> UInt8[np.ndarray, "48 48"] | None:
    try:
        values = np.array(pixels.split(), dtype=np.int64)
    except (ValueError, OverflowError):
        return None
    if values.size != SIZE * SIZE or values.min() < 0 or values.max() > 255:
        return None
    face: UInt8[np.ndarray, "48 48"] = values.astype(np.uint8).reshape(SIZE, SIZE)
    return face


SPLITS = {"Training": "", "PublicTest": "", "PrivateTest": ""}
CORPUS = Corpus("fer2013", "FER2013", "research use", Faces, MELD_LABELS, SPLITS, load)
