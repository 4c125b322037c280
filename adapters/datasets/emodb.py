"""EMO-DB: ten German actors speak everyday sentences in seven emotions.

Burkhardt et al., "A Database of German Emotional Speech", Interspeech 2005. CC0. Files ``SSTTTEv.*``: SS the speaker,
E the emotion by its German initial; 535 clips. Labels: MELD's, without surprise. Splits: the release has none; here
``train`` is without speaker 16, ``dev`` is speaker 16, and ``all`` is both. Quirk: boredom has no counterpart among
MELD's labels and is refused.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from adapters.contract import MELD_LABELS
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Clip, Clips, existing_folder

_EMOTIONS = {"W": "anger", "E": "disgust", "A": "fear", "F": "joy", "T": "sadness", "N": "neutral"}


def load(folder: Path, split: str) -> Clips:
    """Read one split.

    Raises:
        AdapterError: The folder is missing, or is a file.
    """
    clips: list[Clip] = []
    refused: Counter[str] = Counter()
    for path in sorted(existing_folder(folder, "EMO-DB").iterdir()):
        name = path.stem
        if len(name) != 7 or not name[:2].isdigit():
            refused["not a name of EMO-DB"] += 1
        elif name[5] not in _EMOTIONS:
            refused[f"emotion {name[5]}"] += 1
        else:
            clips.append(Clip(path, MELD_LABELS.labels.index(_EMOTIONS[name[5]]), name[:2], name[:2] == "16"))
    return Clips(tuple(clips), refused).split(split)


SPLITS = {"train": "without speaker 16", "dev": "speaker 16", "all": ""}
CORPUS = Corpus("emodb", "EMO-DB", "CC0", Clips, MELD_LABELS, SPLITS, load)
