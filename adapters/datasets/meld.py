"""MELD: dialogues of the television show Friends, one of seven emotions per utterance.

Poria et al., "MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations", ACL 2019. GPL-3.0.
Splits: ``train_sent_emo.csv`` (9989 utterances in 1038 dialogues), ``dev_sent_emo.csv`` (1109 in 114),
``test_sent_emo.csv`` (2610 in 280). Labels: `adapters.contract.MELD_LABELS`.
Quirks: ids of dialogues are unique within a split only; dialogues are not in order of their ids; some texts carry
the C1 control characters of a Windows code page where quotes and dashes were meant.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from adapters.contract import MELD_LABELS, Utterance
from adapters.datasets.records import Dialogues, Line, existing
from adapters.errors import AdapterError

_NEEDED = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
_CONTROLS = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}


def clean(text: str) -> str:
    """The text with Windows' quotes and dashes in place of control characters, and single spaces."""
    return " ".join(text.translate(_CONTROLS).split())


def load(folder: Path, split: str) -> Dialogues:
    """Read one split.

    Args:
        folder: Where the CSV files are.
        split: ``train``, ``dev`` or ``test``.

    Raises:
        AdapterError: There is no such file, or it has other columns.
    """
    path = existing(folder / f"{split}_sent_emo.csv", f"MELD {split} split")
    dialogues: dict[str, list[Line]] = {}
    refused: Counter[str] = Counter()
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
        if missing:
            raise AdapterError(f"{path} has no column {', '.join(missing)}: is it MELD's {split}_sent_emo.csv?")
        for row in reader:
            if row["Emotion"] not in MELD_LABELS.labels:
                refused[f"unknown emotion {row['Emotion']!r}"] += 1
                continue
            text = clean(row["Utterance"])
            if not text:
                refused["no words"] += 1
                continue
            line = Line(Utterance(clean(row["Speaker"]), text), MELD_LABELS.labels.index(row["Emotion"]))
            dialogues.setdefault(row["Dialogue_ID"], []).append(line)
    return Dialogues(tuple(map(tuple, dialogues.values())), refused)
