"""nEMO: nine Polish actors speak ninety sentences in six emotions.

Christop, "nEMO: Dataset of Emotional Speech in Polish", LREC-COLING 2024. CC BY-NC-SA 4.0. ``data.tsv`` names file,
emotion and speaker; 4481 clips. Labels: MELD's, without disgust. Splits: the release has none; here ``train`` is
without speaker MP0, ``dev`` is speaker MP0, and ``all`` is both. Quirk: the files may be in another format than the
``.wav`` that ``data.tsv`` names.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from adapters.contract import MELD_LABELS
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Clip, Clips, existing
from adapters.datasets.tables import read_rows

_EMOTIONS = {
    "anger": "anger",
    "fear": "fear",
    "happiness": "joy",
    "neutral": "neutral",
    "sadness": "sadness",
    "surprised": "surprise",
}


def load(folder: Path, split: str) -> Clips:
    """Read one split.

    Raises:
        AdapterError: ``data.tsv`` is missing, or has other columns.
    """
    table = existing(folder / "data.tsv", "nEMO table")
    files = {path.stem: path for path in folder.rglob("*") if path.suffix in {".wav", ".flac"}}
    clips: list[Clip] = []
    refused: Counter[str] = Counter()
    for row in read_rows(table, ("file_id", "emotion", "speaker_id"), refused, delimiter="\t"):
        path = files.get(Path(row["file_id"]).stem)
        if path is None:
            refused["no such file"] += 1
        elif row["emotion"] not in _EMOTIONS:
            refused[f"emotion {row['emotion']}"] += 1
        else:
            label = MELD_LABELS.labels.index(_EMOTIONS[row["emotion"]])
            clips.append(Clip(path, label, row["speaker_id"], row["speaker_id"] == "MP0"))
    return Clips(tuple(clips), refused).split(split)


SPLITS = {"train": "without speaker MP0", "dev": "speaker MP0", "all": ""}
CORPUS = Corpus("nemo", "nEMO", "CC BY-NC-SA 4.0", Clips, MELD_LABELS, SPLITS, load)
