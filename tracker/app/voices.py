"""Voices that are known before a session: voice prints in a folder of the user's choice, one file for each person.

A voice print is biometric data. So each carries the words in which its person agreed, and is removed once its time is
over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import numpy as np
from jaxtyping import Float32
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator

from tracker.config import SpeakersConfig
from tracker.errors import ConfigError, SessionError
from tracker.observe.speakers import DIM, EnrolledVoice
from tracker.recordings.format import RecordedFile

_SUFFIX = ".voice.json"
_ROUNDED = 1e-3  # by which a unit vector may be longer or shorter


class VoicePrint(BaseModel):
    """The contents of a file: whose voice, made with which model, and what was agreed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=80)]
    model: str
    enrolled_at: AwareDatetime
    keep_until: AwareDatetime | None
    consent: Annotated[str, Field(min_length=1, max_length=500)]
    embedding: Annotated[list[FiniteFloat], Field(min_length=DIM, max_length=DIM)]

    @field_validator("embedding")
    @classmethod
    def _unit(cls, embedding: list[float]) -> list[float]:
        if abs(math.hypot(*embedding) - 1) > _ROUNDED:
            raise ValueError("must be a unit vector")
        return embedding

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.keep_until is not None and now >= self.keep_until

    @property
    def voice(self) -> EnrolledVoice:
        """The voice as it is compared."""
        return EnrolledVoice(self.name, np.array(self.embedding, np.float32))


class VoiceFolder:
    """A folder of voice prints.

    Args:
        settings: Name the folder, and how long a voice print is kept.

    Raises:
        ConfigError: The settings name no folder.
    """

    def __init__(self, settings: SpeakersConfig) -> None:
        if not settings.enrolled:
            raise ConfigError('speakers.enrolled: names no folder; set it to one, "voices" for example')
        self.path = Path(settings.enrolled)
        self._days = settings.enrolled_days

    def __iter__(self) -> Iterator[VoicePrint]:
        """All voice prints.

        Raises:
            SessionError: One is damaged.
        """
        return (one for _, one in self._files())

    def _files(self) -> Iterator[tuple[Path, VoicePrint]]:
        for file in sorted(self.path.glob(f"*{_SUFFIX}")):
            try:
                yield file, VoicePrint.model_validate_json(RecordedFile(file).read())
            except ValidationError as error:
                raise SessionError(f"{file}: is no voice print; remove it, and enrol the voice again") from error

    def put(self, name: str, model: str, consent: str, embedding: Float32[np.ndarray, " dim"], now: datetime) -> None:
        """Keep a voice; an earlier one of that name is replaced.

        Raises:
            SessionError: It cannot be written.
        """
        until = self.until(now)
        print_ = VoicePrint(
            name=name,
            model=model,
            enrolled_at=now,
            keep_until=until,
            consent=consent,
            embedding=[float(value) for value in embedding],
        )
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            RecordedFile(self._file(name)).put(print_.model_dump_json(indent=1).encode() + b"\n")
        except OSError as error:
            raise SessionError(f"{self.path}: the voice cannot be kept there ({error.strerror})") from error

    def until(self, now: datetime) -> datetime | None:
        """Until when a voice is kept that is enrolled now; None: for ever."""
        return now + timedelta(days=self._days) if self._days else None

    def forget(self, name: str) -> None:
        """Remove a voice.

        Raises:
            SessionError: There is none of that name, or it cannot be removed, or a voice print is damaged.
        """
        if not self._remove(lambda one: one.name == name):
            raise SessionError(f"{self.path}: no voice of {name} is enrolled there")

    def forget_expired(self, now: datetime) -> list[str]:
        """Remove the voices whose time is over; returns their names.

        Raises:
            SessionError: One cannot be removed, or a voice print is damaged.
        """
        return self._remove(lambda one: one.expired(now))

    def _remove(self, which: Callable[[VoicePrint], bool]) -> list[str]:
        removed = [(file, one.name) for file, one in self._files() if which(one)]
        try:
            for file, _ in removed:
                file.unlink(missing_ok=True)
        except OSError as error:
            raise SessionError(f"{self.path}: the voice cannot be removed ({error.strerror})") from error
        return [name for _, name in removed]

    def _file(self, name: str) -> Path:
        """Names may hold anything; files are named by their hash."""
        return self.path / f"{sha256(name.encode()).hexdigest()[:16]}{_SUFFIX}"


def known_voices(settings: SpeakersConfig, now: datetime) -> Sequence[EnrolledVoice]:
    """The voices that a session knows; those whose time is over are removed.

    Raises:
        ConfigError: The folder does not exist, or a voice was enrolled with another model.
        SessionError: A voice print is damaged.
    """
    if not settings.enrolled:
        return ()
    folder = VoiceFolder(settings)
    if not folder.path.is_dir():
        raise ConfigError(
            f"speakers.enrolled: there is no folder {folder.path}; enrol a voice (tracker speakers enrol NAME FILE), "
            'or set it to ""'
        )
    folder.forget_expired(now)
    prints = list(folder)
    if other := [one.name for one in prints if one.model != settings.model]:
        raise ConfigError(
            f"speakers.enrolled: {', '.join(other)} enrolled with another model than {settings.model}; enrol again"
        )
    return [one.voice for one in prints]
