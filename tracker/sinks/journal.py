"""What is still to be delivered to a broker, kept so that a killed process loses none of it.

One folder for each session that publishes to a broker of its own, in the user's state directory:

entry.json     which log, for which broker, under which topics
cursor         number of the last event that the broker has acknowledged
lock           held by the process that publishes
session/       the session's log, where the session is not recorded elsewhere

The log is a recorded session's ``events.jsonl``, in which every event is on the disk before it is published. The folder
goes once the session is over and all of it delivered; until then, a later run delivers the rest.

Delivery is at least once: what comes after the cursor is delivered, perhaps again. The cursor is written whenever it
moves, and handed to the system without waiting for the disk: an fsync each time would double what the log costs. So a
kill repeats one event at most, or with a broker of our own those that `Arrivals` does not count yet. After a power cut
the cursor may be older or empty, and up to the whole session comes again.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, final

import platformdirs
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from tracker.errors import SessionError
from tracker.events import Event, from_json
from tracker.recording import EVENTS
from tracker.sinks.topics import Topics

ENTRY, CURSOR, LOCK, SESSION = "entry.json", "cursor", "lock", "session"

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
class Journal:
    """One session's log and how much of it the broker has; owned by one process at a time.

    Args:
        folder: The entry's folder, which exists and holds ``entry.json``.
        lock: Taken.
    """

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self.folder = folder
        self.entry = Entry.model_validate_json((folder / ENTRY).read_bytes())
        self.acknowledged = _cursor(folder / CURSOR)
        self._lock = lock
        self._log: BinaryIO | None = None
        self._rest = b""

    @property
    def session(self) -> Path:
        """The folder of the session whose log it is."""
        return Path(self.entry.session)

    @property
    def topics(self) -> Topics:
        """Where its events go."""
        return Topics(self.entry.base, self.entry.node)

    def acknowledge(self, seq: int) -> None:
        """The broker has every event up to this one."""
        self.acknowledged = seq
        part = self.folder / f"{CURSOR}.part"
        part.write_text(f"{seq}\n")
        part.replace(self.folder / CURSOR)

    def unread(self) -> Iterator[Event]:
        """The log's whole lines that were not yet read; ends at its end as it is now.

        A line that is no event ends it for good: what stands after it is not to be trusted.
        """
        try:
            self._log = self._log or (self.session / EVENTS).open("rb")
        except OSError as error:
            log.warning("log to be delivered cannot be read", extra={"folder": self.entry.session, "error": str(error)})
            return
        for piece in self._log:
            self._rest += piece
            if not self._rest.endswith(b"\n"):
                return
            line, self._rest = self._rest, b""
            try:
                yield from_json(line)
            except ValidationError:
                log.warning("log to be delivered is damaged", extra={"folder": self.entry.session})
                return

    def rewind(self) -> None:
        """Read the log from its beginning again."""
        if self._log:
            self._log.seek(0)
        self._rest = b""

    def close(self, complete: bool) -> None:
        """Let go of it. May be called twice.

        Args:
            complete: All is delivered: there is nothing more to be kept.
        """
        if self._log:
            self._log.close()
        if complete or not (self.session / EVENTS).exists():
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()


def outbox_folder() -> Path:
    """Where the entries lie, for this user only."""
    return platformdirs.user_state_path("emotion-tracker") / "outbox"


def begin(root: Path, name: str, session: Path | None, broker: str, topics: Topics) -> Journal:
    """Make an entry for a session that is about to begin.

    Args:
        root: Where the entries lie.
        name: The entry's own; new.
        session: Where it is recorded; None keeps its log in the entry.
        broker: Whose the events are.
        topics: Where they go there.

    Raises:
        SessionError: It cannot be made.
    """
    folder = root / name
    kept = (folder / SESSION if session is None else session).absolute()
    entry = Entry(session=str(kept), broker=broker, base=topics.base, node=topics.node)
    try:
        folder.mkdir(mode=0o700, parents=True)
        lock = FileLock(folder / LOCK, blocking=False)
        lock.acquire()
        (folder / ENTRY).write_text(entry.model_dump_json(indent=2) + "\n")
        return Journal(folder, lock)
    except OSError as error:
        raise SessionError(
            f"{folder}: what is to be published cannot be kept there ({error.strerror}); "
            "set mqtt.outbox_mb = 0 to go without"
        ) from error


def left_over(root: Path, broker: str | None = None) -> list[Journal]:
    """The entries of runs that have ended, the oldest first; whoever takes them must close them.

    Args:
        root: Where the entries lie.
        broker: Only those for this one; None: all.
    """
    return [journal for folder in _entries(root) if (journal := _take(folder, broker))]


def make_room(root: Path, most_bytes: int) -> list[str]:
    """Remove the oldest entries of ended runs that hold a log of their own, until the rest is small enough.

    Returns:
        The names of those removed.
    """
    removed = []
    for folder in _entries(root):
        if size(root) <= most_bytes:
            break
        if (folder / SESSION).is_dir() and (journal := _take(folder, None)):
            journal.close(complete=True)
            removed.append(folder.name)
    return removed


def size(root: Path) -> int:
    """Bytes in a folder."""
    files = (Path(place) / name for place, _, names in os.walk(root) for name in names)
    return sum(file.stat().st_size for file in files if file.exists())


def _entries(root: Path) -> list[Path]:
    return sorted(folder for folder in root.iterdir() if folder.is_dir()) if root.is_dir() else []


def _take(folder: Path, broker: str | None) -> Journal | None:
    lock = FileLock(folder / LOCK, blocking=False)
    try:
        lock.acquire()
    except (Timeout, OSError):
        return None  # the process that it belongs to still runs
    try:
        journal = Journal(folder, lock)
    except (OSError, ValidationError):
        journal = None
    if journal and broker in (None, journal.entry.broker):
        return journal
    lock.release()
    return None


def _cursor(path: Path) -> int:
    """-1 where nothing was acknowledged, or where it cannot be read: then some events are sent again."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return -1
