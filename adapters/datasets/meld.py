"""MELD: dialogues of the television show Friends, one of seven emotions per utterance.

Poria et al., "MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations", ACL 2019. GPL-3.0.
Splits: ``train_sent_emo.csv`` (9989 utterances in 1038 dialogues), ``dev_sent_emo.csv`` (1109 in 114),
``test_sent_emo.csv`` (2610 in 280). Labels: `adapters.contract.MELD_LABELS`.
Media: one clip per utterance, ``dia{Dialogue_ID}_utt{Utterance_ID}.mp4``, in a folder per split beside the tables, as
``MELD.Raw.tar.gz`` unpacks; clips that were turned into ``.wav`` or ``.flac`` are taken as well, and before the video.
Quirks: ids of dialogues are unique within a split only; dialogues are not in order of their ids; some texts carry
the C1 control characters of a Windows code page where quotes and dashes were meant; a few clips are known to be missing
or cut wrongly.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from adapters.contract import MELD_LABELS, Absent, Utterance
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Dialogues, Line, existing
from adapters.datasets.tables import clean, read_rows

_NEEDED = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
_MEDIA_FOLDERS = {
    "train": ("train_splits", "train"),
    "dev": ("dev_splits_complete", "dev"),
    "test": ("output_repeated_splits_test", "test"),
}
_ID = re.compile(r"\d{1,9}")  # an id must neither lead out of the folder nor be too long for a name
_SUFFIXES = (".flac", ".wav", ".mp4")


def media_folder(folder: Path, split: str) -> Path | Absent:
    """Where a split's clips are, beside its table."""
    for name in _MEDIA_FOLDERS.get(split, ()):
        if (folder / name).is_dir():
            return folder / name
    return Absent(f"no media folder of the {split} split")


def clip_of(media: Path | Absent, dialogue: str, utterance: str) -> Path | Absent:
    """The clip of one utterance, or why there is none.

    Args:
        media: The split's folder of clips, or why there is none.
        dialogue: Its ``Dialogue_ID``.
        utterance: Its ``Utterance_ID``.
    """
    if isinstance(media, Absent):
        return media
    if not (_ID.fullmatch(dialogue) and _ID.fullmatch(utterance)):
        return Absent(f"ids {dialogue!r} and {utterance!r} name no clip")
    stem = f"dia{int(dialogue)}_utt{int(utterance)}"
    for suffix in _SUFFIXES:
        path = media / f"{stem}{suffix}"
        if path.is_file():
            return path if path.stat().st_size else Absent(f"{path.name} is empty")
    return Absent(f"no clip {stem}")


def load(folder: Path, split: str) -> Dialogues:
    """Read one split.

    Args:
        folder: Where the CSV files are, with the folders of clips beside them where there are any.
        split: ``train``, ``dev`` or ``test``.

    Raises:
        AdapterError: There is no such file, or it has other columns.
    """
    path = existing(folder / f"{split}_sent_emo.csv", f"MELD {split} split")
    media = media_folder(folder, split)
    dialogues: dict[str, list[Line]] = {}
    refused: Counter[str] = Counter()
    for row in read_rows(path, _NEEDED, refused):
        if row["Emotion"] not in MELD_LABELS.labels:
            refused[f"unknown emotion {row['Emotion']!r}"] += 1
            continue
        text = clean(row["Utterance"])
        if not text:
            refused["no words"] += 1
            continue
        clip = clip_of(media, row["Dialogue_ID"], row["Utterance_ID"])
        line = Line(Utterance(clean(row["Speaker"]), text), MELD_LABELS.labels.index(row["Emotion"]), clip)
        dialogues.setdefault(row["Dialogue_ID"], []).append(line)
    return Dialogues(tuple(map(tuple, dialogues.values())), refused)


CORPUS = Corpus("meld", "MELD", "GPL-3.0", Dialogues, MELD_LABELS, {"train": "", "dev": "", "test": ""}, load)
