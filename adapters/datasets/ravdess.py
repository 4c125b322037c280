"""RAVDESS: 24 actors speak two sentences in eight emotions.

Livingstone & Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song", PLoS ONE 2018. CC BY-NC-SA 4.0.
Files ``actor_NN/03-01-EE-II-SS-RR-NN.*``: EE is the emotion, NN the actor; 60 clips per actor, 1440 in all. Labels:
MELD's. Splits: the release has none; here ``train`` is actors 01 to 16, ``dev`` the others, and ``all`` is both. Quirk:
"calm" is counted as neutral.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from adapters.contract import MELD_LABELS
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Clip, Clips, existing_folder

_FIRST_HELD_OUT = 17
_EMOTIONS = {
    "01": "neutral",
    "02": "neutral",
    "03": "joy",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}


def load(folder: Path, split: str) -> Clips:
    """Read one split.

    Raises:
        AdapterError: The folder is missing, or is a file.
    """
    clips: list[Clip] = []
    refused: Counter[str] = Counter()
    for path in sorted(existing_folder(folder, "RAVDESS").glob("*/*.*")):
        fields = path.stem.split("-")
        if len(fields) != 7 or fields[2] not in _EMOTIONS or not fields[6].isdecimal():
            refused["not a name of RAVDESS"] += 1
            continue
        held_out = int(fields[6]) >= _FIRST_HELD_OUT
        clips.append(Clip(path, MELD_LABELS.labels.index(_EMOTIONS[fields[2]]), fields[6], held_out))
    return Clips(tuple(clips), refused).split(split)


SPLITS = {"train": "actors 01-16", "dev": "actors 17 on", "all": ""}
CORPUS = Corpus("ravdess", "RAVDESS", "CC BY-NC-SA 4.0", Clips, MELD_LABELS, SPLITS, load)
