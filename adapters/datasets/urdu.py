"""URDU: spontaneous speech from Urdu talk shows, four emotions.

Latif et al., "Cross Lingual Speech Emotion Recognition: Urdu vs. Western Languages", FIT 2018. For research use. One
folder per emotion, ``SPEAKER_FILE_NUMBER.*``; 400 clips of 38 speakers, no official split. Quirk: most speakers bring
one emotion only, so that a voice may give its class away.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from adapters.contract import MELD_LABELS
from adapters.datasets.records import Clip, Clips, existing_folder

_EMOTIONS = {"angry": "anger", "happy": "joy", "neutral": "neutral", "sad": "sadness"}


def load(folder: Path) -> Clips:
    """Read all speakers.

    Raises:
        AdapterError: The folder is missing, or is a file.
    """
    clips: list[Clip] = []
    refused: Counter[str] = Counter()
    for path in sorted(existing_folder(folder, "URDU").glob("*/*.*")):
        emotion = _EMOTIONS.get(path.parent.name.lower())
        if emotion is None:
            refused[f"folder {path.parent.name}"] += 1
            continue
        clips.append(Clip(path, MELD_LABELS.labels.index(emotion), path.stem.split("_")[0], "urdu"))
    return Clips(tuple(clips), refused)
