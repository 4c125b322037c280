"""GoEmotions: comments on Reddit, one to several emotions each, in the grouping of Ekman.

Demszky et al., "GoEmotions: A Dataset of Fine-Grained Emotions", ACL 2020. CC BY 4.0. Splits: ``train``, ``dev``,
``test``. Tables without a header: ``train.tsv`` (43,410 comments), ``dev.tsv`` (5,426), ``test.tsv`` (5,427), each row
a comment, the numbers of its emotions and an id; ``labels.txt`` gives the emotions' order. Labels:
`adapters.contract.MELD_LABELS`.
Quirks: comments with several emotions are left out; each comment stands alone, as a dialogue of one turn; names and
religions are masked as ``[NAME]`` and ``[RELIGION]``.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from adapters.contract import MELD_LABELS, Utterance
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Dialogues, Line, existing
from adapters.datasets.tables import clean, read_lines
from adapters.errors import AdapterError

_LABELS = "labels.txt"


def load(folder: Path, split: str) -> Dialogues:
    """Read one split.

    Args:
        folder: Where the tables are.
        split: ``train``, ``dev`` or ``test``.

    Raises:
        AdapterError: There is no such file, or it is no text in UTF-8, or the labels are others.
    """
    names = [name for name in read_lines(existing(folder / _LABELS, "list of GoEmotions' labels")) if name]
    if sorted(names) != sorted(MELD_LABELS.labels):
        raise AdapterError(f"{folder / _LABELS} lists {', '.join(names)}: take the grouping of Ekman")
    refused: Counter[str] = Counter()
    found: list[tuple[Line]] = []
    for row in read_lines(existing(folder / f"{split}.tsv", f"GoEmotions {split} split")):
        cells = row.split("\t")
        text, labels = clean(cells[0]), cells[1].split(",") if len(cells) == 3 else []
        if not labels or not all(label.isdecimal() and int(label) < len(names) for label in labels):
            refused["no comment with its emotions"] += 1
        elif len(labels) > 1:
            refused["several emotions"] += 1
        elif not text:
            refused["no words"] += 1
        else:
            found.append((Line(Utterance("Speaker 1", text), MELD_LABELS.labels.index(names[int(labels[0])])),))
    return Dialogues(tuple(found), refused)


CORPUS = Corpus(
    "goemotions", "GoEmotions", "CC BY 4.0", Dialogues, MELD_LABELS, {"train": "", "dev": "", "test": ""}, load
)
