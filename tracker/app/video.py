"""What a session looks at, decided before it begins: nothing and why, a file's own picture, or a camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from tracker.errors import ConfigError
from tracker.purpose import NOT_USED
from tracker.sources.film import FILM
from tracker.sources.open import File, Pace, Stdin, parse_source
from tracker.sources.opencv import load_opencv
from tracker.sources.pictures import has_picture
from tracker.sources.video import CameraName, parse_camera


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


def picture_of(argument: str, source: str, pace: Pace) -> Picture:
    """What is looked at while a source is listened to. Loads nothing but what it takes to be sure that it will work.

    Args:
        argument: The SOURCE of the command line.
        source: ``video.source``.
        pace: Of files.

    Raises:
        SourceError: The file cannot be read, or OpenCV cannot be loaded.
        ConfigError: A camera cannot go with this sound.
    """
    heard = parse_source(argument)
    if source == "auto":
        if not isinstance(heard, File):
            return NoPicture("no camera")
        if not has_picture(heard.path):
            return NoPicture("no picture")
        load_opencv()
        return FilePicture(heard.path, PurePath(heard.path).name)
    if not source:
        return NoPicture("no camera")
    if pace == "fast" and isinstance(heard, File | Stdin):
        raise ConfigError("video.source: a camera shows what happens now; its sound needs --pace realtime")
    return CameraPicture(parse_camera(source))


def pictures_of(arguments: Sequence[str], source: str, pace: Pace, words_only: bool) -> list[Picture]:
    """What is looked at beside each source.

    Args:
        arguments: Each SOURCE of the command line.
        source: ``video.source``.
        pace: Of files.
        words_only: Whether no face may be judged; the steps say so.

    Raises:
        SourceError: As `picture_of`.
        ConfigError: As `picture_of`, or several sessions would share a camera.
    """
    if words_only:
        return [NoPicture(NOT_USED)] * len(arguments)
    pictures = [picture_of(argument, source, pace) for argument in arguments]
    if len(pictures) > 1 and any(isinstance(picture, CameraPicture) for picture in pictures):
        raise ConfigError("video.source: a camera shows one conversation; give one source, or run one tracker for each")
    return pictures


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
