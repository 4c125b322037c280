"""What the data sets give: labelled dialogues, labelled voice clips, and the rows that were refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from adapters.contract import MELD_LABELS, Absent, LabelSet, Utterance
from adapters.errors import AdapterError

_NO_MEDIA = Absent("no recordings")


@dataclass(frozen=True, slots=True)
class Line:
    """One turn of a dialogue.

    Attributes:
        utterance: Who said what.
        label: Class id, or None where it is context without a label.
        media: Its recording, or why there is none.
    """

    utterance: Utterance
    label: int | None
    media: Path | Absent = _NO_MEDIA


@dataclass(frozen=True, slots=True)
class Dialogues:
    """A split of a text corpus.

    Attributes:
        dialogues: Each with its turns in order.
        refused: Rows left out, counted by reason.
        label_set: What the class ids stand for.
    """

    dialogues: tuple[tuple[Line, ...], ...]
    refused: Counter[str] = field(default_factory=Counter)
    label_set: LabelSet = MELD_LABELS

    @property
    def labels(self) -> list[int]:
        """The class ids of all labelled turns, in order."""
        return [line.label for dialogue in self.dialogues for line in dialogue if line.label is not None]

    @property
    def dialogue_ids(self) -> list[int]:
        """Which dialogue each labelled turn is of, in order."""
        return [place for place, dialogue in enumerate(self.dialogues) for line in dialogue if line.label is not None]


@dataclass(frozen=True, slots=True)
class Clip:
    """One recorded utterance.

    Attributes:
        path: A mono sound file.
        label: Class id among the labels of MELD.
        speaker: Unique within its corpus.
        corpus: The corpus's name.
    """

    path: Path
    label: int
    speaker: str
    corpus: str


@dataclass(frozen=True, slots=True)
class Clips:
    """A voice corpus; ``refused`` counts the files left out by reason."""

    clips: tuple[Clip, ...]
    refused: Counter[str] = field(default_factory=Counter)


def existing(path: Path, what: str) -> Path:
    """The path, if there is something.

    Raises:
        AdapterError: There is nothing.
    """
    if not path.exists():
        raise AdapterError(f"no {what} at {path}: give the folder that holds it")
    return path


def existing_folder(path: Path, what: str) -> Path:
    """The path, if it is a folder.

    Raises:
        AdapterError: There is nothing, or a file.
    """
    if not existing(path, what).is_dir():
        raise AdapterError(f"{path} is a file: give the folder of {what}")
    return path
