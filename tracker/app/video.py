"""What a session looks at, decided before it begins: nothing and why, a file's own picture, or a camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

from tracker.sources.film import FILM
from tracker.sources.opencv import load_opencv
from tracker.sources.pictures import has_picture
from tracker.sources.video import CameraName


@dataclass(frozen=True, slots=True)
class NoPicture:
    """Nothing is looked at, for a reason that every turn tells."""

    reason: str


@dataclass(frozen=True, slots=True)
class FilePicture:
    """A file, which shows what its sound is about."""

    path: str
    name: str


@dataclass(frozen=True, slots=True)
class FilmPicture:
    """What a recorded session looked at; ``unseen`` is why a turn without a picture has none."""

    path: str
    name: str
    unseen: str


@dataclass(frozen=True, slots=True)
class CameraPicture:
    """A camera."""

    camera: CameraName


Picture = NoPicture | FilePicture | FilmPicture | CameraPicture


def _unheard(_: str) -> None:
    """Says nothing."""


@dataclass(frozen=True, slots=True)
class Vision:
    """What a session sees, and what of it is kept.

    Attributes:
        picture: What is looked at.
        film: Where the pictures are recorded, or None.
        blur: Whether faces are hidden in that.
        report: Says one sentence to the user.
    """

    picture: Picture
    film: Path | None = None
    blur: bool = False
    report: Callable[[str], None] = _unheard

    @property
    def anything(self) -> bool:
        """Whether there is something to look at."""
        return not isinstance(self.picture, NoPicture)

    def without_faces(self, reason: str) -> Vision:
        """Nothing is looked at, for a reason."""
        return Vision(NoPicture(reason))


BLIND = Vision(NoPicture("no camera"))


def file_picture(path: str) -> Picture:
    """A file's own picture, where it has one; loads nothing but what it takes to be sure that it can be read.

    Raises:
        SourceError: The file cannot be read, or OpenCV cannot be loaded.
    """
    if not has_picture(path):
        return NoPicture("no picture")
    load_opencv()
    return FilePicture(path, PurePath(path).name)


def vision_of(picture: Picture, folder: Path | None, blur: bool, report: Callable[[str], None]) -> Vision:
    """What one session sees.

    Args:
        picture: What is looked at.
        folder: Of the recorded session, where pictures are kept.
        blur: Whether faces are hidden in them.
        report: Says one sentence to the user.
    """
    film = folder / FILM if folder and not isinstance(picture, NoPicture) else None
    return Vision(picture, film, blur, report)
