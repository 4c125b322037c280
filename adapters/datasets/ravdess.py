"""RAVDESS: 24 actors speak two sentences in eight emotions.

Livingstone & Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song", PLoS ONE 2018. CC BY-NC-SA 4.0.
Files ``actor_NN/03-01-EE-II-SS-RR-NN.*``: EE is the emotion, NN the actor; 60 clips per actor, 1440 in all. There is no
official split: here actors 17 and above are kept out of training. Quirk: "calm" is counted as neutral.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from adapters.contract import MELD_LABELS
from adapters.datasets.records import Clip, Clips, existing_folder

FIRST_HELD_OUT_ACTOR = 17
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


def load(folder: Path) -> Clips:
    """Read all actors.

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
        clips.append(Clip(path, MELD_LABELS.labels.index(_EMOTIONS[fields[2]]), fields[6], "ravdess"))
    return Clips(tuple(clips), refused)


def held_out(clip: Clip) -> bool:
    """Whether a clip is of an actor who is kept out of training."""
    return int(clip.speaker) >= FIRST_HELD_OUT_ACTOR
