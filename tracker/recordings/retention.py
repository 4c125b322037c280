"""Recorded sessions on disk: finding them, verifying them, and removing what has been kept long enough.

``pruned.json`` lists what has been removed, so that a check does not take it for damage.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from os.path import isdir, lexists
from pathlib import Path
from typing import Literal

import soundfile
from pydantic import BaseModel, ConfigDict, ValidationError

from tracker.errors import SessionError
from tracker.events import TurnEnded, TurnSkipped, TurnStarted, to_json, without_words
from tracker.recordings.format import EVENTS, START, STOP, RecordedFile
from tracker.recordings.replay import RecordedSession, read_session
from tracker.sources.media import RATE_HZ

PRUNED = "pruned.json"
Kind = Literal["audio", "video", "features", "text", "events"]
_FILES: dict[Kind, str] = {"audio": "audio-*.flac", "video": "video*.*", "features": "features*.safetensors"}


class Pruned(BaseModel):
    """The contents of ``pruned.json``."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    kinds: list[Kind]


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days each kind is kept; 0 is forever. With the events goes the whole session."""

    audio: int = 0
    video: int = 0
    features: int = 0
    text: int = 0
    events: int = 0

    def expired(self, kind: Kind, age: timedelta) -> bool:
        """Whether a file of this kind and age has been kept long enough."""
        days: int = getattr(self, kind)
        return days > 0 and age >= timedelta(days=days)


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A recorded session on disk.

    Attributes:
        folder: Of the session.
        session: Its contents, or None where it cannot be read.
        fault: Why it cannot be read.
        size: Bytes.
        pruned: The kinds of file that have been removed from it.
    """

    folder: Path
    session: RecordedSession | None
    fault: str
    size: int
    pruned: tuple[Kind, ...]

    @property
    def state(self) -> str:
        """The outcome in a word."""
        if not self.session:
            return "unreadable"
        return self.session.stop.outcome if self.session.stop else "cut off"


def find_sessions(place: Path) -> Iterator[StoredSession]:
    """The sessions in a folder, or the session that the folder is, by name.

    Raises:
        SessionError: There is no such folder.
    """
    if not isdir(place):
        raise SessionError(f"{place}: there is no such folder")
    folders = [place] if _holds_session(place) else sorted(filter(_holds_session, place.iterdir()))
    for folder in folders:
        size = sum(file.lstat().st_size for file in folder.iterdir() if RecordedFile(file).kept)
        try:
            yield StoredSession(folder, read_session(folder), "", size, pruned_kinds(folder))
        except SessionError as error:
            yield StoredSession(folder, None, str(error), size, ())


def _holds_session(folder: Path) -> bool:
    """Whether a session was recorded there, or was about to be."""
    return any(lexists(folder / name) for name in (START, EVENTS, STOP))


def pruned_kinds(folder: Path) -> tuple[Kind, ...]:
    """The kinds of file that have been removed from a session.

    Raises:
        SessionError: ``pruned.json`` is damaged.
    """
    if not lexists(folder / PRUNED):
        return ()
    try:
        return tuple(Pruned.model_validate_json(RecordedFile(folder / PRUNED).read()).kinds)
    except ValidationError as error:
        raise SessionError(f"{folder / PRUNED}: is damaged; remove it if you know what was pruned") from error


def verify(stored: StoredSession) -> list[str]:
    """Every fault of a session, one sentence each; a recording that was cut off has none for that."""
    if not stored.session:
        return [stored.fault]
    return [*_turn_faults(stored.session), *_audio_faults(stored, stored.session)]


def _turn_faults(session: RecordedSession) -> Iterator[str]:
    opened: set[int] = set()
    closed: set[int] = set()
    for place, event in enumerate(session.events):
        if event.seq != place:
            yield f"{EVENTS}: event {place} is missing"
            return
        match event:
            case TurnStarted():
                opened.add(event.turn)
            case TurnEnded() | TurnSkipped():
                if event.turn not in opened or event.turn in closed:
                    yield f"{EVENTS}: turn {event.turn} ends without having begun"
                closed.add(event.turn)
    if session.stop:
        if missing := opened - closed:
            yield f"{EVENTS}: {len(missing)} turns have no end"
        stop = session.stop
        if (len(opened), len(closed)) != (stop.turns_started, stop.turns_ended + stop.turns_skipped):
            yield f"{EVENTS}: its turns are not those that {STOP} counts"


def _audio_faults(stored: StoredSession, session: RecordedSession) -> Iterator[str]:
    if "audio" in stored.pruned:
        return
    wanted = {track.file: track.samples for track in session.stop.audio} if session.stop else {}
    files = {*wanted, *(file.name for file in stored.folder.glob(_FILES["audio"]))}
    for name in sorted(files):
        try:
            with RecordedFile(stored.folder / name).open() as file:
                info = soundfile.info(file)
        except SessionError as error:
            yield str(error).removeprefix(f"{stored.folder}{os.sep}")
            continue
        except soundfile.LibsndfileError:
            if session.stop or (stored.folder / name).lstat().st_size > _HEADER:
                yield f"{name}: cannot be read"
            continue
        if (info.samplerate, info.channels) != (RATE_HZ, 1):
            yield f"{name}: has {info.channels} channels, {info.samplerate} samples a second, not 1 and {RATE_HZ}"
        if session.stop and info.frames != wanted.get(name):
            yield f"{name}: holds {info.frames} samples, but {STOP} says {wanted.get(name)}"


_HEADER = 8192
"""Bytes that a FLAC file may have without holding a sample, where its writer was killed."""


def expired_kinds(stored: StoredSession, retention: Retention, now: datetime) -> list[Kind]:
    """The kinds of file that have been kept long enough.

    Args:
        stored: A session; one that cannot be read or may still be recorded is left alone.
        retention: How long each kind is kept.
        now: With a time zone.
    """
    if not stored.session or (stored.session.stop is None and _touched(stored.folder, now)):
        return []
    age = now - datetime.fromisoformat(stored.session.start.started_at).astimezone(UTC)
    if retention.expired("events", age):
        return ["events"]
    kinds = [
        kind for kind, pattern in _FILES.items() if retention.expired(kind, age) and any(stored.folder.glob(pattern))
    ]
    return [*kinds, "text"] if retention.expired("text", age) and _has_words(stored.session) else kinds


def prune(stored: StoredSession, kinds: Sequence[Kind]) -> None:
    """Remove some kinds of file from a session.

    Raises:
        OSError: A file cannot be removed or written.
    """
    if not stored.session or not kinds:
        return
    if "events" in kinds:
        shutil.rmtree(stored.folder)
        return
    for kind in kinds:
        if kind == "text":
            lines = [to_json(without_words(event)) + "\n" for event in stored.session.events]
            RecordedFile(stored.folder / EVENTS).put("".join(lines).encode())
        else:
            for file in stored.folder.glob(_FILES[kind]):
                file.unlink()
    removed = list(dict.fromkeys([*stored.pruned, *kinds]))
    RecordedFile(stored.folder / PRUNED).put(Pruned(kinds=removed).model_dump_json().encode() + b"\n")


def _touched(folder: Path, now: datetime) -> bool:
    """Whether a file was written within the last hour: it may still be recording."""
    return now.timestamp() - max(file.lstat().st_mtime for file in folder.iterdir()) < 3600


def _has_words(session: RecordedSession) -> bool:
    return any(isinstance(event, TurnEnded) and event.text for event in session.events)
