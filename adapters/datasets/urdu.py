"""URDU: spontaneous speech from Urdu talk shows, four emotions.

Latif et al., "Cross Lingual Speech Emotion Recognition: Urdu vs. Western Languages", FIT 2018. Licence: research use.
One folder per emotion, ``SPEAKER_FILE_NUMBER.*``; 400 clips of 38 speakers. Labels: MELD's neutral, sadness, joy and
anger. Splits: the release has none; here ``train`` is without speaker SM3, ``dev`` is speaker SM3, and ``all`` is both.
Quirk: most speakers bring one emotion only, so that a voice may give its class away.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from adapters.contract import MELD_LABELS
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Clip, Clips, existing_folder

_EMOTIONS = {"angry": "anger", "happy": "joy", "neutral": "neutral", "sad": "sadness"}


def load(folder: Path, split: str) -> Clips:
    """Read one split.

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
        speaker = path.stem.split("_")[0]
        clips.append(Clip(path, MELD_LABELS.labels.index(emotion), speaker, speaker == "SM3"))
    return Clips(tuple(clips), refused).split(split)


SPLITS = {"train": "without speaker SM3", "dev": "speaker SM3", "all": ""}
CORPUS = Corpus("urdu", "URDU talk shows", "research use", Clips, MELD_LABELS, SPLITS, load)
