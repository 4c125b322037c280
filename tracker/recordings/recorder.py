"""Records a session in a folder that stays readable after a crash at any moment.

After each event, everything published until then is synced to disk. Audio reaches the
system in blocks of 4096 samples, so a killed process loses at most the last 0.26 s of it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import weakref
from collections.abc import AsyncIterable, Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, TypeVarTuple, Unpack, final

import anyio
import anyio.to_thread
from pydantic import BaseModel

from tracker.errors import SessionError, SinkError
from tracker.events import Event, SessionEnded, SessionStarted, to_json, without_words
from tracker.recordings.format import EVENTS, START, STOP, RecordedFile, StartFile, StopFile, private, sync
from tracker.recordings.tracks import AudioTracks
from tracker.runtime.unicode import as_unicode
from tracker.sources.media import AudioChunk

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@final
class Recorder:
    """A sink that records events, and the audio that `record_audio` is given.

    Args:
        folder: An empty folder, or one that is made here, readable by its owner only.
        config: Every setting of the session, as plain values for ``start.json``.
        text: Whether words are recorded.

    Raises:
        SessionError: The folder cannot be made, or holds something already, such as the recording of another session
            that is about to begin.
    """

    name = "recorder"

    def __init__(self, folder: Path, config: Mapping[str, Any], text: bool = True) -> None:
        self._log = _claim(folder)
        self._unclaim = weakref.finalize(self, _unclaim, self._log, folder / EVENTS)  # where it is never run
        self.folder = folder
        self._config = json.loads(as_unicode(json.dumps(dict(config), ensure_ascii=False)))
        self._text = text
        self._tracks = AudioTracks(folder)
        self._audio_over = anyio.Event()
        self._audio_over.set()
        self._one_thread = anyio.CapacityLimiter(1)
        self._faults: list[str] = []
        self._complete = False

    @property
    def fault(self) -> str:
        """Why a session that is over is not recorded whole; empty where it is."""
        return next(iter(self._faults), "" if self._complete else "its end could not be written in time")

    def lose(self, sentence: str) -> None:
        """Something else that belongs to the recording could not be kept."""
        self._faults.append(sentence)

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Record every event; at the last one, wait for the audio and close the session.

        Raises:
            SinkError: A file cannot be written; what was written until then stays.
        """
        self._unclaim.detach()
        with self._log as log:
            count = 0
            async for event in events:
                if isinstance(event, SessionStarted):
                    await self._write(START, self._start, event)
                await self._write(EVENTS, _append, log, to_json(event if self._text else without_words(event)))
                count += 1
                if isinstance(event, SessionEnded):
                    await self._audio_over.wait()
                    await self._write(STOP, self._stop, event, count)
                    self._complete = True

    async def record_audio(self, chunks: AsyncIterable[AudioChunk]) -> None:
        """Record every chunk, each channel in its own file.

        Raises:
            SinkError: A file cannot be written; what was written until then stays.
        """
        self._audio_over = anyio.Event()
        try:
            async for chunk in chunks:
                await self._write("the audio", self._tracks.write, chunk)
        finally:
            with anyio.CancelScope(shield=True):
                try:
                    await self._write("the audio", self._tracks.close)
                finally:
                    self._audio_over.set()

    async def _write(self, what: str, call: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        try:
            return await anyio.to_thread.run_sync(call, *args, limiter=self._one_thread)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            why = "the disk is full" if full else error.strerror or str(error)
            self.lose(f"{what} in {self.folder} cannot be written: {why}; what was recorded is kept")
            raise SinkError(self._faults[-1]) from error

    def _start(self, event: SessionStarted) -> None:
        start = StartFile(
            session=event.session,
            started_at=event.time,
            software=event.software,
            source=event.source,
            live=event.live,
            channels=event.channels,
            labels=event.labels,
            models=event.models,
            purpose=event.purpose,
            notice=event.notice,
            config=self._config,
        )
        _put(self.folder / START, start)

    def _stop(self, event: SessionEnded, events: int) -> None:
        stop = StopFile(
            session=event.session,
            ended_at=event.time,
            outcome=event.outcome,
            error=event.error,
            media_ns=event.media_ns,
            events=events,
            turns_started=event.turns_started,
            turns_ended=event.turns_ended,
            turns_skipped=event.turns_skipped,
            dropped=event.dropped,
            audio=self._tracks.written(),
        )
        _put(self.folder / STOP, stop)


def _claim(folder: Path) -> BinaryIO:
    """The empty log of a new session: whoever creates it has the folder."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(folder.iterdir()):
            return open(folder / EVENTS, "xb", buffering=0, opener=private)
    except FileExistsError as error:
        if not folder.is_dir():
            raise _unusable(folder, error) from error
    except OSError as error:
        raise _unusable(folder, error) from error
    raise SessionError(f"{folder}: is not empty; name a new folder for the recording")


def _unusable(folder: Path, error: OSError) -> SessionError:
    return SessionError(f"{folder}: no session can be recorded there ({error.strerror}); name a folder")


def _unclaim(log: BinaryIO, path: Path) -> None:
    log.close()
    with contextlib.suppress(OSError):
        path.unlink()


def _append(log: BinaryIO, line: str) -> None:
    """Write one line whole and wait for the disk."""
    left = memoryview(line.encode() + b"\n")
    while left:
        left = left[log.write(left) :]
    sync(log.fileno())


def _put(path: Path, contents: BaseModel) -> None:
    RecordedFile(path).put(contents.model_dump_json(indent=2).encode() + b"\n")
