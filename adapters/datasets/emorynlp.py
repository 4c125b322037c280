"""EmoryNLP: dialogues of the television show Friends, one of seven emotions of another vocabulary per utterance.

Zahiri & Choi, "Emotion Detection on TV Show Transcripts with Sequence-Based Convolutional Neural Networks", AAAI
workshops 2018, in the tables that the authors of MELD made of it. Apache-2.0 upstream. Splits:
``emorynlp_train_final.csv`` (7551 utterances in 659 scenes), ``emorynlp_dev_final.csv`` (954 in 89),
``emorynlp_test_final.csv`` (984 in 79). Labels: `LABELS`.
Quirks: a scene's id is unique within its season and episode only; utterances without a place in the sound were left
out, so that ids of utterances have gaps; the column of speakers is a list in Python's notation, and several people may
speak at once; the same show as MELD, so that scenes may be in both.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from adapters.contract import NEGATIVE, NEUTRAL, POSITIVE, LabelSet, Utterance
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Dialogues, Line, existing
from adapters.datasets.tables import clean, read_rows

LABELS = LabelSet.of(
    "emorynlp",
    {  # polarity: the feeling wheel's halves (Willcox 1982), which these labels are from
        "neutral": NEUTRAL,
        "joyful": POSITIVE,
        "peaceful": POSITIVE,
        "powerful": POSITIVE,
        "scared": NEGATIVE,
        "mad": NEGATIVE,
        "sad": NEGATIVE,
    },
)
_NEEDED = ("Utterance", "Speaker", "Emotion", "Scene_ID", "Utterance_ID", "Season", "Episode")


def _speaker(cell: str) -> str | None:
    """Who speaks, several people joined by ``and``; None where the cell is no list of names."""
    try:
        names = ast.literal_eval(cell)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):  # all that a malformed cell may raise
        return None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return None
    return " and ".join(map(clean, names))


def load(folder: Path, split: str) -> Dialogues:
    """Read one split; a dialogue is a scene.

    Args:
        folder: Where the CSV files are.
        split: ``train``, ``dev`` or ``test``.

    Raises:
        AdapterError: There is no such file, or it has other columns.
    """
    path = existing(folder / f"emorynlp_{split}_final.csv", f"EmoryNLP {split} split")
    scenes: dict[tuple[str, str, str], list[Line]] = {}
    refused: Counter[str] = Counter()
    for row in read_rows(path, _NEEDED, refused):
        emotion, speaker, text = row["Emotion"].lower(), _speaker(row["Speaker"]), clean(row["Utterance"])
        if emotion not in LABELS.labels:
            refused[f"unknown emotion {row['Emotion']!r}"] += 1
        elif speaker is None:
            refused["speakers are not a list of names"] += 1
        elif not text:
            refused["no words"] += 1
        else:
            line = Line(Utterance(speaker, text), LABELS.labels.index(emotion))
            scenes.setdefault((row["Season"], row["Episode"], row["Scene_ID"]), []).append(line)
    return Dialogues(tuple(map(tuple, scenes.values())), refused)


CORPUS = Corpus("emorynlp", "EmoryNLP", "Apache-2.0", Dialogues, LABELS, {"train": "", "dev": "", "test": ""}, load)
