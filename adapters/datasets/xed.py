"""XED: lines of film subtitles, annotated with Plutchik's emotions; here the English ones.

Öhman et al., "XED: A Multilingual Dataset for Sentiment Analysis and Emotion Detection", COLING 2020. CC BY 4.0.
Splits: ``train`` and ``dev``.
``en-annotated.tsv``: a line and the numbers of its emotions (17,528 lines); ``neu_en.txt``: a 9 and a line (9,675
neutral ones). Labels: `adapters.contract.MELD_LABELS`.
Quirks: lines with several emotions, anticipation or trust are left out; no line has a speaker or lines before it, so
each is a dialogue of one turn; there are no splits, so a tenth, chosen by the words' checksum, is held out; words and
punctuation are set apart by spaces, which are taken out.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from pathlib import Path

from adapters.contract import MELD_LABELS, Utterance
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Dialogues, Line, existing
from adapters.datasets.tables import clean, read_lines

_FILES = "en-annotated.tsv", "neu_en.txt"
_NAMES = {
    **{"1": "anger", "3": "disgust", "4": "fear", "5": "joy", "6": "sadness", "7": "surprise"},
    "9": "neutral",
}
_DROPPED = {"2": "anticipation", "8": "trust"}
_APART = re.compile(r" (?=[.,!?;:]|'(?:s|m|d|re|ve|ll|t)\b|n't\b)")


def held_out(text: str) -> bool:
    """Whether a line is of the tenth that training leaves out."""
    return zlib.crc32(text.lower().encode()) % 10 == 0


def load(folder: Path, split: str) -> Dialogues:
    """Read one split.

    Args:
        folder: Where the two files are.
        split: ``train`` or ``dev``.

    Raises:
        AdapterError: A file is missing, or no text in UTF-8.
    """
    annotated, neutral = (existing(folder / name, "XED") for name in _FILES)
    rows = [row.split("\t") for row in read_lines(annotated)]
    rows += [row.split("\t")[::-1] for row in read_lines(neutral)]
    refused: Counter[str] = Counter()
    found: list[tuple[Line]] = []
    for cells in rows:
        text = _APART.sub("", clean(cells[0])) if len(cells) == 2 else ""
        numbers = cells[1].split(", ") if text else []
        if not set(numbers) <= _NAMES.keys() | _DROPPED.keys() or not any(c.isalnum() for c in text):
            refused["no line with its emotions"] += 1
        elif len(numbers) > 1:
            refused["several emotions"] += 1
        elif numbers[0] in _DROPPED:
            refused[_DROPPED[numbers[0]]] += 1
        elif held_out(text) == (split == "dev"):
            found.append((Line(Utterance("Speaker 1", text), MELD_LABELS.labels.index(_NAMES[numbers[0]])),))
    return Dialogues(tuple(found), refused)


CORPUS = Corpus("xed", "XED", "CC BY 4.0", Dialogues, MELD_LABELS, {"train": "", "dev": "a tenth"}, load)
