"""Recorded sessions on the disk: finding them, checking them, and removing what has been kept long enough.

What has been removed is noted in ``pruned.json``, so that a check does not take it for damage.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
    """How many days each kind is kept; 0 is for ever. With the events goes the whole session."""

    audio: int = 0
    video: int = 0
    features: int = 0
    text: int = 0
    events: int = 0

    def over(self, kind: Kind, age: timedelta) -> bool:
        """Whether something of this age has been kept long enough."""
        days: int = getattr(self, kind)
        return days > 0 and age >= timedelta(days=days)


@dataclass(frozen=True, slots=True)
class Found:
    """A recorded session on the disk.

    Attributes:
        folder: Where.
        session: What it holds, or None where it cannot be read.
        fault: Why it cannot be read.
        size: Bytes.
        pruned: What has been removed from it.
    """

    folder: Path
    session: RecordedSession | None
    fault: str
    size: int
    pruned: tuple[Kind, ...]

    @property
    def state(self) -> str:
        """How it ended, in a word."""
        if not self.session:
            return "unreadable"
        return self.session.stop.outcome if self.session.stop else "cut off"


def find(place: Path) -> Iterator[Found]:
    """The sessions in a folder, or the one that the folder is; by name.

    Raises:
        SessionError: There is no such folder.
    """
    if not place.is_dir():
        raise SessionError(f"{place}: there is no such folder")
    folders = [place] if (place / START).exists() else sorted(one.parent for one in place.glob(f"*/{START}"))
    for folder in folders:
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        try:
            yield Found(folder, read_session(folder), "", size, pruned_from(folder))
        except SessionError as error:
            yield Found(folder, None, str(error), size, ())


def pruned_from(folder: Path) -> tuple[Kind, ...]:
    """What has been removed from a session.

    Raises:
        SessionError: The note of it is damaged.
    """
    try:
        return tuple(Pruned.model_validate_json((folder / PRUNED).read_bytes()).kinds)
    except FileNotFoundError:
        return ()
    except ValidationError as error:
        raise SessionError(f"{folder / PRUNED}: is damaged; remove it if you know what was pruned") from error


def verify(found: Found) -> list[str]:
    """Everything that is wrong with a session, one sentence each; a recording that was cut off is not wrong."""
    if not found.session:
        return [found.fault]
    return [*_wrong_turns(found.session), *_wrong_audio(found, found.session)]


def _wrong_turns(session: RecordedSession) -> Iterator[str]:
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


def _wrong_audio(found: Found, session: RecordedSession) -> Iterator[str]:
    if "audio" in found.pruned:
        return
    wanted = {track.file: track.samples for track in session.stop.audio} if session.stop else {}
    files = {*wanted, *(file.name for file in found.folder.glob(_FILES["audio"]))}
    for name in sorted(files):
        try:
            info = soundfile.info(found.folder / name)
        except soundfile.LibsndfileError:
            if session.stop or (found.folder / name).stat().st_size > _HEADER:
                yield f"{name}: cannot be read"
            continue
        if info.samplerate != RATE_HZ:
            yield f"{name}: has {info.samplerate} samples a second, not {RATE_HZ}"
        if session.stop and info.frames != wanted.get(name):
            yield f"{name}: holds {info.frames} samples, but {STOP} says {wanted.get(name)}"


_HEADER = 8192
"""Bytes that a FLAC file may have, when its writer is killed, without holding a sample."""


def due(found: Found, retention: Retention, now: datetime) -> list[Kind]:
    """What has been kept long enough.

    Args:
        found: A session; one that cannot be read or may still be recorded is left alone.
        retention: How long each kind is kept.
        now: With a time zone.
    """
    if not found.session or (found.session.stop is None and _touched(found.folder, now)):
        return []
    age = now - datetime.fromisoformat(found.session.start.started_at).astimezone(UTC)
    if retention.over("events", age):
        return ["events"]
    kinds = [kind for kind, pattern in _FILES.items() if retention.over(kind, age) and any(found.folder.glob(pattern))]
    return [*kinds, "text"] if retention.over("text", age) and _has_words(found.session) else kinds


def prune(found: Found, kinds: Sequence[Kind]) -> None:
    """Remove what is `due`.

    Raises:
        OSError: A file cannot be removed or written.
    """
    if not found.session or not kinds:
        return
    if "events" in kinds:
        shutil.rmtree(found.folder)
        return
    for kind in kinds:
        if kind == "text":
            lines = [to_json(without_words(event)) + "\n" for event in found.session.events]
            RecordedFile(found.folder / EVENTS).put("".join(lines).encode())
        else:
            for file in found.folder.glob(_FILES[kind]):
                file.unlink()
    removed = list(dict.fromkeys([*found.pruned, *kinds]))
    RecordedFile(found.folder / PRUNED).put(Pruned(kinds=removed).model_dump_json().encode() + b"\n")


def _touched(folder: Path, now: datetime) -> bool:
    """Whether a file was written within the last hour, as a recording does all the time."""
    return now.timestamp() - max(file.stat().st_mtime for file in folder.iterdir()) < 3600


def _has_words(session: RecordedSession) -> bool:
    return any(isinstance(event, TurnEnded) and event.text for event in session.events)
