"""Service calls as tab-separated lines: dialogue, speaker, emotion, words. Splits: train.tsv, dev.tsv."""

from collections import Counter

from adapters.contract import NEGATIVE, NEUTRAL, POSITIVE, LabelSet, Utterance
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Dialogues, Line

LABELS = LabelSet.of("calls", {"calm": NEUTRAL, "pleased": POSITIVE, "upset": NEGATIVE})


def load(folder, split):
    refused, dialogues = Counter(), {}
    for row in (folder / f"{split}.tsv").read_text(encoding="utf-8").splitlines():
        fields = row.split("\t")
        if len(fields) != 4 or fields[2] not in LABELS.labels:
            refused["not a dialogue, speaker, emotion and words"] += 1
            continue
        dialogue, speaker, emotion, words = fields
        dialogues.setdefault(dialogue, []).append(Line(Utterance(speaker, words), LABELS.labels.index(emotion)))
    return Dialogues(tuple(tuple(lines) for lines in dialogues.values()), refused)


CORPUS = Corpus("calls", "Service calls", "not for others", Dialogues, LABELS, {"train": "", "dev": ""}, load)
