"""nEMO: nine Polish actors speak ninety sentences in six emotions.

Christop, "nEMO: Dataset of Emotional Speech in Polish", LREC-COLING 2024. CC BY-NC-SA 4.0. ``data.tsv`` names file,
emotion and speaker; 4481 clips, no official split, no disgust. Quirk: the files may be in another format than the
``.wav`` that ``data.tsv`` names.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from adapters.contract import MELD_LABELS
from adapters.datasets.records import Clip, Clips, existing

_EMOTIONS = {
    "anger": "anger",
    "fear": "fear",
    "happiness": "joy",
    "neutral": "neutral",
    "sadness": "sadness",
    "surprised": "surprise",
}


def load(folder: Path) -> Clips:
    """Read all speakers.

    Raises:
        AdapterError: ``data.tsv`` is missing.
    """
    files = {path.stem: path for path in folder.rglob("*") if path.suffix in {".wav", ".flac"}}
    clips: list[Clip] = []
    refused: Counter[str] = Counter()
    with existing(folder / "data.tsv", "nEMO table").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            path = files.get(Path(row["file_id"]).stem)
            if path is None:
                refused["no such file"] += 1
            elif row["emotion"] not in _EMOTIONS:
                refused[f"emotion {row['emotion']}"] += 1
            else:
                label = MELD_LABELS.labels.index(_EMOTIONS[row["emotion"]])
                clips.append(Clip(path, label, row["speaker_id"], "nemo"))
    return Clips(tuple(clips), refused)
