"""EmoBank: English sentences of many genres, rated for valence and arousal.

Buechel and Hahn, "EmoBank: Studying the Impact of Annotation Perspective and Representation Format on Dimensional
Emotion Analysis", EACL 2017. CC BY-SA 4.0. One table, ``emobank.csv``, with a column ``split`` (``train`` 8062 rows,
``dev`` 1000, ``test`` 1000); a table without the test rows, ``emobank_train_dev.csv``, is taken as well.
Ratings: means over readers and writers on the scale 1 to 5 of the Self-Assessment Manikin, here (x - 3) / 2. Dominance
is left out. Quirks: some rows hold a mark or nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np

from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Ratings, existing
from adapters.datasets.tables import clean, read_rows

_FILES = ("emobank.csv", "emobank_train_dev.csv")
_COLUMNS = {"valence": "V", "arousal": "A"}
_LOWEST, _HIGHEST = 1.0, 5.0


def load(folder: Path, split: str) -> Ratings:
    """Read one split.

    Args:
        folder: Where the table is.
        split: ``train``, ``dev`` or ``test``.

    Raises:
        AdapterError: There is no such file, or it has other columns.
    """
    path = next((folder / name for name in _FILES if (folder / name).is_file()), folder / _FILES[0])
    refused: Counter[str] = Counter()
    texts: list[str] = []
    values: list[list[float]] = []
    for row in read_rows(existing(path, "EmoBank"), ("split", "text", *_COLUMNS.values()), refused):
        if row["split"] != split:
            continue
        text = clean(row["text"])
        rated = [_number(row[column]) for column in _COLUMNS.values()]
        if not any(map(str.isalnum, text)):
            refused["no words"] += 1
        elif not all(_LOWEST <= value <= _HIGHEST for value in rated):
            refused["a rating that is not between 1 and 5"] += 1
        else:
            texts.append(text)
            values.append([(value - 3) / 2 for value in rated])
    ratings = np.array(values).reshape(-1, len(_COLUMNS))
    return Ratings(tuple(texts), tuple(_COLUMNS), ratings, refused, "-1 to 1, of the ratings 1 to 5 by (x - 3) / 2")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


CORPUS = Corpus("emobank", "EmoBank", "CC BY-SA 4.0", Ratings, None, {"train": "", "dev": "", "test": ""}, load)
