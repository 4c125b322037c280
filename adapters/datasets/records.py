"""What is read of a data set: dialogues, voice clips or faces, and how many rows were refused for which reason.

Letters: ``n`` faces or sentences.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from adapters.contract import Absent, Utterance
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
    """Dialogues, each with its turns in order."""

    dialogues: tuple[tuple[Line, ...], ...]
    refused: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.labels)

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
        path: A mono sound file of 16 kHz.
        label: Class id.
        speaker: Unique within its data set; the recording where the speaker is unknown.
        held_out: Whether training must not use it.
        span: First sample, and the one after the last; None for the whole file.
    """

    path: Path
    label: int
    speaker: str
    held_out: bool
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Clips:
    """Voice clips."""

    clips: tuple[Clip, ...]
    refused: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def labels(self) -> list[int]:
        """The class id of each clip."""
        return [clip.label for clip in self.clips]

    def split(self, name: str) -> Clips:
        """The clips that training may use (``train``), the others (``dev``), or ``all``."""
        held_out = {"train": (False,), "dev": (True,), "all": (False, True)}[name]
        return Clips(tuple(clip for clip in self.clips if clip.held_out in held_out), self.refused)


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Pictures of faces, grey.

    Attributes:
        images: The pictures.
        labels: Class ids.
        refused: Pictures left out, counted by reason.
        shares: How many of the people who were asked see each class, as shares; None where one label is all there is.
    """

    images: UInt8[np.ndarray, "n 48 48"]
    labels: Int64[np.ndarray, " n"]
    refused: Counter[str]
    shares: Float32[np.ndarray, "n classes"] | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """Sentences on their own, and how people rated each in several dimensions, from -1 to 1.

    Attributes:
        texts: The sentences.
        dimensions: Names, such as ``valence``.
        values: The ratings.
        refused: Rows left out, counted by reason.
        scale: How the ratings came to lie between -1 and 1, for the card.
    """

    texts: tuple[str, ...]
    dimensions: tuple[str, ...]
    values: Float64[np.ndarray, "n dimensions"]
    refused: Counter[str]
    scale: str = "-1 to 1, as the data set has them"

    def __len__(self) -> int:
        return len(self.texts)


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
