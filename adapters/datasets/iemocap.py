r"""IEMOCAP: two actors at a time play scripted and improvised dialogues, in the layout of its release.

Busso et al., "IEMOCAP: Interactive emotional dyadic motion capture database", Language Resources and Evaluation 2008.
Licence: research use, on request from the University of Southern California. Read are, below ``Session1`` to
``Session5``:

    dialog/transcriptions/Ses01F_impro01.txt   ``Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.``
    dialog/EmoEvaluation/Ses01F_impro01.txt    ``[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]``
    sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav   where it is there

Labels: `LABELS`, the six of the literature on conversations; 7433 of about 10039 utterances in 151 dialogues have one.
Splits: the release has none. ``test`` is session 5, as is usual; here ``dev`` is session 4 and ``train`` the rest, so
that no actor is in two splits.
Quirks: turns without agreement of the annotators (``xxx``) or of other emotions are kept as context, without a label,
and counted; turns overlap, and stand in the order in which they begin; the letter after the last underscore says who
speaks; a transcription holds a few lines that are not of this form.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from adapters.contract import NEGATIVE, NEUTRAL, POSITIVE, Absent, LabelSet, Utterance
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Dialogues, Line, existing_folder
from adapters.datasets.tables import clean
from adapters.errors import AdapterError

LABELS = LabelSet.of(
    "iemocap",
    {
        "happy": POSITIVE,
        "sad": NEGATIVE,
        "neutral": NEUTRAL,
        "angry": NEGATIVE,
        "excited": POSITIVE,
        "frustrated": NEGATIVE,
    },
)
_EMOTIONS = {"hap": "happy", "sad": "sad", "neu": "neutral", "ang": "angry", "exc": "excited", "fru": "frustrated"}
_SESSIONS = {"train": (1, 2, 3), "dev": (4,), "test": (5,)}
_TURN = re.compile(  # ids are no longer than the name of a file may be
    r"(?P<id>Ses\d\d[FM]_\w{1,99}_(?P<speaker>[FM])\w{1,99}) \[(?P<start>\d+\.?\d*)-[\d.]+\]: ?(?P<text>.*)", re.ASCII
)
_LABEL = re.compile(r"\[[\d.]+ - [\d.]+\]\t(?P<id>\S+)\t(?P<emotion>[a-z]{3})\t\[.*\]")


def load(folder: Path, split: str) -> Dialogues:
    """Read one split.

    Args:
        folder: Where ``Session1`` to ``Session5`` are.
        split: ``train``, ``dev`` or ``test``.

    Raises:
        AdapterError: A session is missing.
    """
    refused: Counter[str] = Counter()
    dialogues: list[tuple[Line, ...]] = []
    for number in _SESSIONS[split]:
        session = folder / f"Session{number}"
        if not session.exists():
            own = folder if folder.name == "iemocap" else folder / "iemocap"
            raise AdapterError(f"no IEMOCAP session {number}: put IEMOCAP into {own} (Session1 ... Session5)")
        texts = existing_folder(session / "dialog" / "transcriptions", "IEMOCAP transcriptions")
        for path in sorted(texts.glob("Ses*.txt")):
            labels = _labels(session / "dialog" / "EmoEvaluation" / path.name, refused)
            lines = _dialogue(path, session, labels, refused)
            if lines:
                dialogues.append(lines)
    return Dialogues(tuple(dialogues), refused)


def _labels(path: Path, refused: Counter[str]) -> dict[str, str]:
    """The emotion of each turn as the annotators agreed, in three letters."""
    if not path.is_file():
        refused["dialogue without a file of labels"] += 1
        return {}
    found = map(_LABEL.fullmatch, _lines(path))
    return {match["id"]: match["emotion"] for match in found if match}  # the other lines are single annotators'


def _dialogue(path: Path, session: Path, labels: dict[str, str], refused: Counter[str]) -> tuple[Line, ...]:
    turns: list[tuple[float, Line]] = []
    for raw in _lines(path):
        match = _TURN.fullmatch(raw)
        if match is None:
            refused["not a turn of a transcription"] += 1
            continue
        text = clean(match["text"])
        if not text:
            refused["no words"] += 1
            continue
        emotion = labels.get(match["id"])
        if emotion not in _EMOTIONS:
            refused["no label; kept as context" if emotion is None else f"emotion {emotion}; kept as context"] += 1
        label = LABELS.labels.index(_EMOTIONS[emotion]) if emotion in _EMOTIONS else None
        clip = session / "sentences" / "wav" / path.stem / f"{match['id']}.wav"
        media = clip if clip.is_file() else Absent(f"no clip {match['id']}")
        turns.append((float(match["start"]), Line(Utterance(match["speaker"], text), label, media)))
    return tuple(line for _, line in sorted(turns, key=lambda turn: turn[0]))


def _lines(path: Path) -> list[str]:
    """The lines of a file that are not empty.

    Raises:
        AdapterError: It is a folder, or no text.
    """
    try:
        return [line for line in map(str.rstrip, path.read_text(encoding="utf-8").splitlines()) if line]
    except IsADirectoryError as error:
        raise AdapterError(f"{path} is a folder: a text is wanted there") from error
    except UnicodeDecodeError as error:
        raise AdapterError(f"{path} is not text in UTF-8: {error}") from error


SPLITS = {"train": "sessions 1-3", "dev": "session 4", "test": "session 5"}
CORPUS = Corpus("iemocap", "IEMOCAP", "research use, on request", Dialogues, LABELS, SPLITS, load)
