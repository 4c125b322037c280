"""What is still to be delivered to a broker, on the disk so that a killed process loses nothing.

Each session that publishes has a spool, a folder in the user's state directory:

entry.json     which log, for which broker, on which topics
cursor         number of the last event whose delivery is confirmed
refused        numbers of events before the cursor that the broker refused; delivered ones are crossed out
lock           held by the process that publishes
session/       the session's log, unless the session is recorded elsewhere

The log is a recorded session's ``events.jsonl``, in which every event is on the disk before it is published. The spool
is removed once the session is over and all of it delivered; until then, a later run delivers the rest.

Delivery is at least once: events after the cursor and refused ones are delivered, perhaps again. The cursor is written
whenever it moves, and handed to the operating system without waiting for the disk, since an fsync each time would
double the cost of the log. So a kill repeats one event at most, or with the embedded broker those that
`SubscriberConfirmation` has not confirmed. After a power cut the cursor may be older or empty, and up to the whole
session is repeated.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal, final

import platformdirs
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from tracker.errors import SessionError
from tracker.events import Event, from_json
from tracker.mqtt.topics import Topics
from tracker.recordings.format import EVENTS

ENTRY, CURSOR, REFUSED, LOCK, SESSION = "entry.json", "cursor", "refused", "lock", "session"

_PRIVATE = 0o600
_REFUSED, _DELIVERED = "refused", "delivered"

log = logging.getLogger(__name__)


class Entry(BaseModel):
    """The contents of ``entry.json``."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Literal["emotion-tracker-outbox/1"] = "emotion-tracker-outbox/1"
    session: str
    broker: str
    base: str
    node: str


@final
class Spool:
    """One session's log and how much of it is delivered; owned by one process at a time.

    Args:
        folder: Exists and holds ``entry.json``.
        lock: Acquired.

    Attributes:
        confirmed: Number of the last event whose delivery is confirmed; -1: none.
        refused: Numbers of events that the broker has refused so far.
    """

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self.folder = folder
        self.entry = Entry.model_validate(json.loads((folder / ENTRY).read_bytes()))
        self.confirmed = _cursor(folder / CURSOR)
        self.refused = _refused(folder / REFUSED)
        self._lock = lock
        self._stays = False  # the cursor, since what comes before it cannot be noted
        self._log: BinaryIO | None = None
        self._rest = b""

    @property
    def session(self) -> Path:
        """The folder of the session that the log belongs to."""
        return Path(self.entry.session)

    @property
    def topics(self) -> Topics:
        """The topics of its events."""
        return Topics(self.entry.base, self.entry.node)

    def confirm(self, seq: int) -> None:
        """Every event up to this one is delivered, or noted as refused."""
        if self._stays:
            return
        self.confirmed = seq
        part = self.folder / f"{CURSOR}.part"
        try:
            part.touch(_PRIVATE)
            part.write_text(f"{seq}\n")
            part.replace(self.folder / CURSOR)
        except OSError as error:
            log.warning("cursor cannot be written", extra={"folder": str(self.folder), "error": str(error)})

    def note_refused(self, seq: int) -> None:
        """The broker has refused an event."""
        if seq not in self.refused:
            self.refused.add(seq)
            self._note(f"{seq} {_REFUSED}\n")

    def note_delivered(self, seq: int) -> None:
        """An event is delivered, even if it was refused before."""
        if seq in self.refused:
            self.refused.remove(seq)
            self._note(f"{seq} {_DELIVERED}\n")

    def _note(self, line: str) -> None:
        try:
            (self.folder / REFUSED).touch(_PRIVATE)
            with (self.folder / REFUSED).open("a") as file:
                file.write(line)
        except OSError as error:
            log.warning("refusal cannot be written", extra={"folder": str(self.folder), "error": str(error)})
            self._stays = True

    def unread(self) -> Iterator[Event]:
        """The events on whole lines of the log that were not read yet, up to its present end.

        A line that is not an event ends it for good: the lines after it cannot be trusted.
        """
        try:
            self._log = self._log or (self.session / EVENTS).open("rb")
        except OSError as error:
            log.warning("undelivered log cannot be read", extra={"folder": self.entry.session, "error": str(error)})
            return
        for piece in self._log:
            self._rest += piece
            if not self._rest.endswith(b"\n"):
                return
            line, self._rest = self._rest, b""
            try:
                yield from_json(line)
            except ValidationError:
                log.warning("undelivered log is damaged", extra={"folder": self.entry.session})
                return

    def rewind(self) -> None:
        """Read the log from its beginning again."""
        if self._log:
            self._log.seek(0)
        self._rest = b""

    def close(self, complete: bool) -> None:
        """Release it for other processes. May be called twice.

        Args:
            complete: Everything is delivered, so that the spool can be removed.
        """
        if self._log:
            self._log.close()
        events = self.session / EVENTS
        if complete or not events.exists() or not events.stat().st_size:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()


def outbox_folder() -> Path:
    """This user's spools."""
    return platformdirs.user_state_path("emotion-tracker") / "outbox"


def create_spool(root: Path, name: str, session: Path | None, broker: str, topics: Topics) -> Spool:
    """Create the spool of a session that is about to begin.

    Args:
        root: The folder of all spools.
        name: The spool's; new.
        session: Where the session is recorded; None keeps its log in the spool.
        broker: Where the events are published.
        topics: The topics there.

    Raises:
        SessionError: The spool cannot be created.
    """
    folder = root / name
    kept = (folder / SESSION if session is None else session).absolute()
    entry = Entry(session=str(kept), broker=broker, base=topics.base, node=topics.node)
    try:
        folder.mkdir(mode=0o700, parents=True)
        lock = FileLock(folder / LOCK, blocking=False, mode=_PRIVATE)
        lock.acquire()
        (folder / ENTRY).touch(_PRIVATE)
        (folder / ENTRY).write_text(json.dumps(entry.model_dump(), indent=2) + "\n")  # a path need not be Unicode
        return Spool(folder, lock)
    except (OSError, NotImplementedError) as error:  # filelock says by both that nothing can be locked there
        shutil.rmtree(folder, ignore_errors=True)
        why = getattr(error, "strerror", None) or "it cannot be locked"
        raise SessionError(
            f"{folder}: undelivered events cannot be kept there ({why}); "
            "set mqtt.outbox_mb = 0 to keep them in memory only"
        ) from error


def leftover_spools(root: Path, broker: str | None = None) -> list[Spool]:
    """The spools of runs that have ended, the oldest first; the caller must close them.

    Args:
        root: The folder of all spools.
        broker: Only those for this one; None: all.
    """
    return [spool for folder in _folders(root) if (spool := _take(folder, broker))]


def make_room(root: Path, most_bytes: int) -> list[str]:
    """Remove the oldest spools of ended runs that hold a log of their own, until the rest is small enough.

    Returns:
        The names of those removed.
    """
    removed = []
    for folder in _folders(root):
        if size(root) <= most_bytes:
            break
        if (folder / SESSION).is_dir() and (spool := _take(folder, None)):
            spool.close(complete=True)
            removed.append(folder.name)
    return removed


def expire(root: Path, before_s: float) -> list[str]:
    """Remove the spools of runs that have ended and began before a moment.

    Args:
        root: The folder of all spools.
        before_s: The moment, as `time.time` gives it.

    Returns:
        The names of those removed.
    """
    removed = []
    for folder in _folders(root):
        with suppress(OSError):
            if (folder / ENTRY).stat().st_mtime < before_s and (spool := _take(folder, None)):
                spool.close(complete=True)
                removed.append(folder.name)
    return removed


def size(root: Path) -> int:
    """Bytes in a folder."""
    files = (Path(place) / name for place, _, names in os.walk(root) for name in names)
    return sum(file.stat().st_size for file in files if file.exists())


def _folders(root: Path) -> list[Path]:
    return sorted(folder for folder in root.iterdir() if folder.is_dir()) if root.is_dir() else []


def _take(folder: Path, broker: str | None) -> Spool | None:
    lock = FileLock(folder / LOCK, blocking=False)
    try:
        lock.acquire()
    except (Timeout, OSError, NotImplementedError):
        return None  # the process that owns it is still running, or nothing can be locked there
    try:
        spool = Spool(folder, lock)
    except (OSError, ValueError):
        spool = None
    if spool and broker in (None, spool.entry.broker):
        return spool
    lock.release()
    return None


def _cursor(path: Path) -> int:
    """-1 if nothing was confirmed, or if it cannot be read: then some events are sent again."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return -1


def _refused(path: Path) -> set[int]:
    """Empty if nothing was refused, or if it cannot be read."""
    refused: set[int] = set()
    with suppress(OSError):
        for line in path.read_text(errors="replace").splitlines():
            seq, _, state = line.partition(" ")
            if seq.isdecimal():
                (refused.discard if state == _DELIVERED else refused.add)(int(seq))
    return refused
