"""Sentences that people try first, 25 and more for each emotion, written for this project under its licence, MIT.

One split, ``all``. One table beside this file: register (home, work, friends, negation, news, sarcasm), emotion,
sentence. Labels: `adapters.contract.MELD_LABELS`. Not for training. Quirks: one author wrote them and knew what each is
to express, so they are clearer than talk; none has a turn before it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from adapters.contract import MELD_LABELS, Utterance
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Dialogues, Line
from adapters.datasets.tables import read_rows

_TABLE = Path(__file__).with_name("plain_sentences.tsv")


def rows() -> list[tuple[str, str, str]]:
    """Register, emotion and words of each sentence."""
    found = read_rows(_TABLE, ("register", "emotion", "sentence"), Counter(), "\t")
    return [(row["register"], row["emotion"], row["sentence"]) for row in found]


def load(_folder: Path, _split: str) -> Dialogues:
    """Read them; they come with the package."""
    return Dialogues(
        tuple(
            (Line(Utterance("Speaker 1", sentence), MELD_LABELS.labels.index(emotion)),)
            for _, emotion, sentence in rows()
        )
    )


CORPUS = Corpus("plain-sentences", "Plain sentences", "MIT", Dialogues, MELD_LABELS, {"all": ""}, load)
