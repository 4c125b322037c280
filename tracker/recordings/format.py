"""A recorded session: a folder of plain files that any program can read.

start.json        how it began: when, from what, with which software, models and settings
audio-N.flac      channel N: 16 kHz, 16 bit; sample 0 is media time 0, lost audio is silence
features-N.safetensors   the features of turn N's voice and face, where wanted
events.jsonl      what was published, one event a line, exactly as subscribers got it, or without the words
stop.json         how it ended; written last, so where it is missing the recording was cut off
pruned.json       what has been removed since, if anything

A later writer of the same format may add keys; a reader ignores those that it does not know.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tracker.events import Outcome, WallTime

START, EVENTS, STOP = "start.json", "events.jsonl", "stop.json"

Format = Literal["emotion-tracker-session/1"]


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A file of a session that is written whole or not at all."""

    path: Path

    def put(self, contents: bytes) -> None:
        """Write it and sync it to disk.

        Raises:
            OSError: It cannot be written; an earlier file stays as it was.
        """
        part = self.path.with_name(self.path.name + ".part")
        with open(part, "wb", opener=private) as file:
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


def private(path: str, flags: int) -> int:
    """Create a file that only its owner may read; an opener for `open`."""
    return os.open(path, flags, 0o600)


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
    session: str = Field(min_length=1)


class StartFile(_File):
    """The contents of ``start.json``."""

    started_at: WallTime = Field(description="Wall time of media time 0.")
    software: str
    source: str
    live: bool
    channels: int = Field(ge=1)
    labels: list[str]
    models: dict[str, str]
    purpose: str = Field(default="", description="What the session was declared to be for.")
    notice: str = Field(default="", description="What people who were listened to were told.")
    config: dict[str, Any] = Field(description="Every setting that the session ran with.")


class AudioTrack(BaseModel):
    """One channel's audio."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    channel: int = Field(ge=0)
    file: str
    samples: int = Field(ge=0, description="At 16 kHz, silence included.")
    silence: int = Field(ge=0, description="Samples of it that stand for lost audio.")


class StopFile(_File):
    """The contents of ``stop.json``."""

    ended_at: WallTime = Field(description="Wall time of the last media heard.")
    outcome: Outcome
    error: str | None
    media_ns: int = Field(ge=0)
    events: int = Field(ge=0, description="Lines in events.jsonl.")
    turns_started: int = Field(ge=0)
    turns_ended: int = Field(ge=0)
    turns_skipped: int = Field(ge=0)
    dropped: dict[str, int]
    audio: list[AudioTrack]
