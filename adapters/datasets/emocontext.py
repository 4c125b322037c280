"""EmoContext: chats of three turns between two people, the last one labelled.

Chatterjee et al., "SemEval-2019 Task 3: EmoContext Contextual Emotion Detection in Text", SemEval 2019. Licence:
research use. Splits: ``train`` and ``dev``. One table, ``train.txt``: 30,160 rows with columns ``turn1``, ``turn2``,
``turn3`` and ``label`` (happy, sad, angry, others). Labels: joy, sadness, anger, and neutral for "others", which holds
surprise, fear and disgust as well, so that a right answer may count as wrong.
Quirks: there are no splits here, so a tenth, chosen by the words' checksum, is held out; quotes are not escaped.
"""

from __future__ import annotations

import zlib
from collections import Counter
from pathlib import Path

from adapters.contract import MELD_LABELS, Utterance
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Dialogues, Line, existing
from adapters.datasets.tables import clean, read_lines

_NAMES = {"happy": "joy", "sad": "sadness", "angry": "anger", "others": "neutral"}


def load(folder: Path, split: str) -> Dialogues:
    """Read one split.

    Args:
        folder: Where the table is.
        split: ``train`` or ``dev``.

    Raises:
        AdapterError: There is no such file, or it is no text in UTF-8.
    """
    refused: Counter[str] = Counter()
    found: list[tuple[Line, ...]] = []
    for row in read_lines(existing(folder / "train.txt", "EmoContext"))[1:]:
        cells = row.split("\t")
        turns = [clean(cell) for cell in cells[1:4]]
        if len(cells) != 5 or cells[4] not in _NAMES:
            refused["no three turns with a label"] += 1
        elif not all(turns):
            refused["no words"] += 1
        elif (zlib.crc32(" ".join(turns).lower().encode()) % 10 == 0) == (split == "dev"):
            label = MELD_LABELS.labels.index(_NAMES[cells[4]])
            said = [Utterance(f"Speaker {place % 2 + 1}", text) for place, text in enumerate(turns)]
            found.append((Line(said[0], None), Line(said[1], None), Line(said[2], label)))
    return Dialogues(tuple(found), refused)


CORPUS = Corpus(
    "emocontext", "EmoContext", "research use", Dialogues, MELD_LABELS, {"train": "", "dev": "a tenth"}, load
)
