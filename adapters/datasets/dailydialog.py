"""DailyDialog: everyday conversations of learners of English, one of seven emotions per utterance.

Li et al., "DailyDialog: A Manually Labelled Multi-turn Dialogue Dataset", IJCNLP 2017; for training, the emotional
dialogues that Poria et al. chose ("Recognizing Emotion Cause in Conversations", Cognitive Computation 2021).
CC BY-NC-SA 4.0. Splits: ``train``, of ``reccon_train.json``; ``dev``, of ``validation_dialogues.txt`` with
``validation_dialogues_emotion.txt`` (8,069 utterances in 1,000 dialogues). Labels: `adapters.contract.MELD_LABELS`.
Quirks: two people speak in turn and have no names; 88 % of the validation split is neutral, of RECCON's less; dialogues
that are in both are left out of training.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adapters.contract import MELD_LABELS, Utterance
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Dialogues, Line, existing
from adapters.datasets.tables import clean, read_lines
from adapters.errors import AdapterError

_NUMBERS = ("neutral", "anger", "disgust", "fear", "joy", "sadness", "surprise")
_WORDS = {"happiness": "joy", "happines": "joy", "sad": "sadness", "angry": "anger", "excited": "joy"}
_END = "__eou__"

Said = Sequence[tuple[str, str]]
"""Words and emotion of each utterance of a dialogue."""


def _dialogue(said: Said, refused: Counter[str]) -> tuple[Line, ...]:
    lines: list[Line] = []
    for place, (text, emotion) in enumerate(said):
        name = _WORDS.get(emotion, emotion)
        if name not in MELD_LABELS.labels:
            refused["unknown emotion"] += 1
        label = MELD_LABELS.labels.index(name) if name in MELD_LABELS.labels else None
        lines.append(Line(Utterance(f"Speaker {place % 2 + 1}", text), label))
    return tuple(lines)


def _validation(folder: Path, refused: Counter[str]) -> Iterator[Said]:
    texts = read_lines(existing(folder / "validation_dialogues.txt", "DailyDialog validation split"))
    emotions = read_lines(existing(folder / "validation_dialogues_emotion.txt", "DailyDialog's emotions"))
    for text, numbers in zip(texts, emotions, strict=False):
        said = [clean(one) for one in text.split(_END)]
        said = [one for one in said if one]
        named = [number for number in numbers.split() if number.isdecimal() and int(number) < len(_NUMBERS)]
        if len(said) == len(named):
            yield [(words, _NUMBERS[int(number)]) for words, number in zip(said, named, strict=True)]
        else:
            refused["other numbers of utterances and emotions"] += 1


def _reccon(folder: Path) -> Iterator[Said]:
    path = existing(folder / "reccon_train.json", "RECCON's dialogues of DailyDialog")
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for (turns,) in raw.values():
            yield [(clean(turn["utterance"]), turn["emotion"].lower()) for turn in turns]
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise AdapterError(f"{path} is not RECCON's JSON: {error!r}") from error


def load(folder: Path, split: str) -> Dialogues:
    """Read one split.

    Args:
        folder: Where the files are.
        split: ``train`` or ``dev``.

    Raises:
        AdapterError: A file is missing or of another format.
    """
    refused: Counter[str] = Counter()
    held = list(_validation(folder, refused))
    if split == "dev":
        return Dialogues(tuple(_dialogue(said, refused) for said in held), refused)
    known = {_words(said) for said in held}
    refused.clear()
    found: list[tuple[Line, ...]] = []
    for said in _reccon(folder):
        if _words(said) in known:
            refused["dialogue of the validation split"] += 1
        else:
            found.append(_dialogue(said, refused))
    return Dialogues(tuple(found), refused)


def _words(said: Said) -> str:
    """What a dialogue is known by in either file: letters and digits of its first two utterances."""
    return "".join(c for text, _ in said[:2] for c in text.lower() if c.isalnum())


CORPUS = Corpus(
    "dailydialog",
    "DailyDialog",
    "CC BY-NC-SA 4.0",
    Dialogues,
    MELD_LABELS,
    {"train": "RECCON", "dev": "validation"},
    load,
)
