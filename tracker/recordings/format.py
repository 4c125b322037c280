"""A recorded session: a folder of plain files that any program can read.

start.json        how it began: when, from what, with which software, models and settings
audio-N.flac      channel N: 16 kHz, 16 bit; sample 0 is media time 0, lost audio is silence
features-N.safetensors   the features of turn N's voice and face, where wanted
events.jsonl      what was published, one event a line, exactly as subscribers got it, or without the words
stop.json         how it ended; written last, so where it is missing the recording was cut off
pruned.json       what has been removed since, if anything

A later writer of the same format may add keys; a reader ignores those that it does not know.

A session may come from anybody, so a reader trusts nothing in its folder: it opens ordinary files in the folder only,
of a size that a session may have, and no count in them is without a limit.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Annotated, Any, BinaryIO, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from adapters.contract import MOST_LABELS
from tracker.errors import SessionError
from tracker.events import Count, MediaNs, Outcome, WallTime

START, EVENTS, STOP = "start.json", "events.jsonl", "stop.json"

Format = Literal["emotion-tracker-session/1"]

MOST_CHANNELS = 1024
_MOST_BYTES = {EVENTS: 256 << 20}  # weeks of talk
_MOST_BYTES_ELSE = 1 << 20
_WARILY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Follow no link, and wait for nobody to write into a pipe."""


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A file of a session, written whole or not at all, and read only where it is an ordinary file."""

    path: Path

    @property
    def kept(self) -> bool:
        """Whether there is such an ordinary file."""
        try:
            return S_ISREG(self.path.lstat().st_mode)
        except OSError:
            return False

    def open(self) -> BinaryIO:
        """Open it for reading.

        Raises:
            SessionError: It is missing, or no ordinary file, or may not be read.
        """
        try:
            file = open(self.path, "rb", opener=lambda path, flags: os.open(path, flags | _WARILY))  # noqa: SIM115
        except OSError as error:
            why = "is a link" if self.path.is_symlink() else f"cannot be read ({error.strerror})"
            raise SessionError(f"{self.path}: {why}") from error
        if not S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise SessionError(f"{self.path}: is not an ordinary file")
        return file

    def read(self) -> bytes:
        """Its contents.

        Raises:
            SessionError: As `open`, or it is larger than such a file of a session may be.
        """
        most = _MOST_BYTES.get(self.path.name, _MOST_BYTES_ELSE)
        with self.open() as file:
            if os.fstat(file.fileno()).st_size > most:
                raise SessionError(f"{self.path}: is larger than {most >> 20} MiB, so it is not read")
            try:
                return file.read(most)
            except OSError as error:
                raise SessionError(f"{self.path}: cannot be read ({error.strerror})") from error

    def put(self, contents: bytes) -> None:
        """Write it and sync it to disk.

        Raises:
            OSError: It cannot be written; an earlier file stays as it was.
        """
        part = self.path.with_name(self.path.name + ".part")
        part.unlink(missing_ok=True)  # one that lies there may be a link to somewhere else
        with part.open("xb") as file:
            file.write(contents)
            file.flush()
            sync(file.fileno())
        part.replace(self.path)
        if os.name == "posix":  # elsewhere a folder cannot be opened, nor need it be
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                sync(folder)
            finally:
                os.close(folder)


def sync(descriptor: int) -> None:
    """Wait until a file or a folder is on the disk; some file systems, such as CIFS and sshfs, cannot tell.

    Raises:
        OSError: It cannot be written.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


_CANNOT_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def audio_file(channel: int) -> str:
    """The name of a channel's audio."""
    return f"audio-{channel}.flac"


def features_file(turn: int) -> str:
    """The name of a turn's features."""
    return f"features-{turn:05d}.safetensors"


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Format = "emotion-tracker-session/1"
    session: str = Field(min_length=1, max_length=200)


class StartFile(_File):
    """The contents of ``start.json``."""

    started_at: WallTime = Field(description="Wall time of media time 0.")
    software: str
    source: str
    live: bool
    channels: int = Field(ge=1, le=MOST_CHANNELS)
    labels: list[str] = Field(max_length=MOST_LABELS)
    models: dict[str, str]
    purpose: str = Field(default="", description="What the session was declared to be for.")
    notice: str = Field(default="", description="What people who were listened to were told.")
    config: dict[str, Any] = Field(description="Every setting that the session ran with.")

    def setting(self, section: str, name: str, default: Any = None) -> Any:
        """A setting that the session ran with, or the default where there is none."""
        settings = self.config.get(section)
        return settings.get(name, default) if isinstance(settings, dict) else default


def _plain_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ValueError("must be the plain name of a file in the session's folder")
    return name


class AudioTrack(BaseModel):
    """One channel's audio."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    channel: int = Field(ge=0, lt=MOST_CHANNELS)
    file: Annotated[str, AfterValidator(_plain_name)]
    samples: Count = Field(description="At 16 kHz, silence included.")
    silence: Count = Field(description="Samples of it that stand for lost audio.")


class StopFile(_File):
    """The contents of ``stop.json``."""

    ended_at: WallTime = Field(description="Wall time of the last media heard.")
    outcome: Outcome
    error: str | None
    media_ns: MediaNs
    events: Count = Field(description="Lines in events.jsonl.")
    turns_started: Count
    turns_ended: Count
    turns_skipped: Count
    dropped: dict[str, Count]
    audio: list[AudioTrack] = Field(max_length=MOST_CHANNELS)
