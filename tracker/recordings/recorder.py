"""Records a session in a folder that stays readable after a crash at any moment.

After each event, everything published until then is synced to disk. Audio reaches the
system in blocks of 4096 samples, so a killed process loses at most the last 0.26 s of it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterable, Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, TypeVarTuple, Unpack, final

import anyio
import anyio.to_thread
from pydantic import BaseModel

from tracker.errors import SessionError, SinkError
from tracker.events import Event, SessionEnded, SessionStarted, to_json, without_words
from tracker.recordings.format import EVENTS, START, STOP, RecordedFile, StartFile, StopFile, private
from tracker.recordings.tracks import AudioTracks
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
        SessionError: The folder cannot be made, or holds something already.
    """

    name = "recorder"

    def __init__(self, folder: Path, config: Mapping[str, Any], text: bool = True) -> None:
        _claim(folder)
        self.folder = folder
        self._config = dict(config)
        self._text = text
        self._tracks = AudioTracks(folder)
        self._audio_over = anyio.Event()
        self._audio_over.set()
        self._one_thread = anyio.CapacityLimiter(1)

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Record every event; at the last one, wait for the audio and close the session.

        Raises:
            SinkError: A file cannot be written; what was written until then stays.
        """
        log = await self._write(EVENTS, _open, self.folder / EVENTS)
        with log:
            count = 0
            async for event in events:
                if isinstance(event, SessionStarted):
                    await self._write(START, self._start, event)
                await self._write(EVENTS, _append, log, to_json(event if self._text else without_words(event)))
                count += 1
                if isinstance(event, SessionEnded):
                    await self._audio_over.wait()
                    await self._write(STOP, self._stop, event, count)

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
            raise SinkError(f"{what} in {self.folder} cannot be written: {why}; what was recorded is kept") from error

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


def _claim(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        raise SessionError(f"{folder}: no session can be recorded there ({error.strerror}); name a folder") from error
    if taken:
        raise SessionError(f"{folder}: is not empty; name a new folder for the recording")


def _open(path: Path) -> BinaryIO:
    return open(path, "xb", buffering=0, opener=private)  # two sessions may have found the folder empty


def _append(log: BinaryIO, line: str) -> None:
    """Write one line whole and wait for the disk."""
    left = memoryview(line.encode() + b"\n")
    while left:
        left = left[log.write(left) :]
    os.fsync(log.fileno())


def _put(path: Path, contents: BaseModel) -> None:
    RecordedFile(path).put(contents.model_dump_json(indent=2).encode() + b"\n")
