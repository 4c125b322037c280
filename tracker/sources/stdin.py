"""Sound from another program on standard input: signed 16-bit little-endian samples, channels interleaved.

A media file is read, too, as it comes; an MP4 file whose index is last is first read to its end. The pipe blocks the
writer while nothing reads it, so that nothing is lost and nothing piles up. The event loop watches the pipe or socket,
also where a decoder in a thread waits for it, so that stopping works while the other program is silent.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, BinaryIO, cast

import anyio
import numpy as np
from anyio import from_thread, to_thread

from tracker.errors import SourceError
from tracker.sources.files import FileSource
from tracker.sources.media import RATE_HZ, AudioChunk
from tracker.sources.resample import ChannelMode, Chunker, Converter
from tracker.sources.signatures import CONTAINER, ENOUGH, index_is_last, is_media, other_kind, undecided

_WIDTH = 2  # bytes of one sample
_MOST = 1 << 16  # bytes read at once: the capacity of a pipe, 2 s at 16 kHz mono
_EXAMPLE = "ffmpeg -i FILE -f s16le -ac 1 -ar 16000 - | tracker run -"


class StdinSource:
    """Reads raw PCM, or a media file, until the writer closes its end.

    Args:
        stream: Standard input, or any binary stream.
        channels: Mix all channels into one, or keep one per speaker.
        block_ms: Length of a chunk.
        rate_hz: Rate of the samples; a media file has its own.
        width: How many channels there are.
        track: Which audio track of a media file, from 1; 0: the best one.
    """

    name = "stdin"
    live = False
    dropped = 0

    def __init__(
        self,
        stream: BinaryIO,
        channels: ChannelMode = "mix",
        block_ms: int = 20,
        *,
        rate_hz: int = RATE_HZ,
        width: int = 1,
        track: int = 0,
    ) -> None:
        self._stream = stream
        self._frame = width * _WIDTH
        self._converter = Converter(rate_hz, width, channels)
        if channels == "separate":
            track = track or 1  # a pipe can be read only once
        self._media = FileSource("-", channels, block_ms, track=track, open_file=self._piped)
        self._chunker = Chunker(block_ms)
        self._stopped = False
        self._waiting: anyio.CancelScope | None = None
        self.channels = self._converter.channels

    def check(self) -> None:
        """Make sure that somebody could be sending audio."""
        refuse_terminal(self._stream)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[AudioChunk]]:
        """Begin to read.

        Raises:
            SourceError: The stream is a terminal (on entering); it ended before any audio, carries something else, or
                cannot be read (while iterating).
        """
        refuse_terminal(self._stream)
        async with aclosing(self._chunks()) as chunks:
            yield chunks

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the user should know about what it carries."""
        return self._media.remarks + self._converter.remarks

    def stop(self) -> None:
        """Read no more."""
        self._stopped = True
        self._media.stop()
        if self._waiting:
            self._waiting.cancel()

    async def _chunks(self) -> AsyncGenerator[AudioChunk]:
        self._head = data = await self._begin()
        if is_media(data):
            async for chunk in self._decoded():
                yield chunk
            return
        if kind := other_kind(data):
            raise SourceError(f"-: carries {kind}, but sound is expected; try: {_EXAMPLE}")
        if len(data) < self._frame and not self._stopped:
            raise SourceError(f"-: standard input ended before any audio came; try: {_EXAMPLE}")
        while data:
            whole = len(data) // self._frame * self._frame
            values = np.frombuffer(data[:whole], "<i2").reshape(-1, self._frame // _WIDTH)
            for chunk in self._chunker.feed(self._converter.feed(values)):
                yield chunk
            more = await self._read()
            data = data[whole:] + more if more else b""
        for chunk in self._chunker.feed(self._converter.finish()) + self._chunker.finish():
            yield chunk

    async def _begin(self) -> bytes:
        """The first bytes: enough to tell what they are, unless there are no more."""
        head, more = b"", True
        while more and len(head) < max(self._frame, ENOUGH if undecided(head) else CONTAINER):
            head += (data := await self._read())
            more = bool(data)
        return head

    async def _decoded(self) -> AsyncGenerator[AudioChunk]:
        async with AsyncExitStack() as stack:
            try:
                chunks = await stack.enter_async_context(self._media.open())
            except SourceError as error:
                if self._stopped:
                    return
                raise SourceError(f"{error}; if it can be played as a file, name that instead") from error
            if (found := self._media.channels) != self.channels:
                raise SourceError(f"-: carries {found} channels, not {self.channels}; give --stdin-channels {found}")
            async for chunk in chunks:
                yield chunk

    def _piped(self, _: str) -> BinaryIO:
        pipe = cast(BinaryIO, _Pipe(self._head, self._read))
        if not index_is_last(self._head):
            return pipe
        file = tempfile.TemporaryFile()  # noqa: SIM115  (handed to the caller)
        shutil.copyfileobj(pipe, file)
        file.seek(0)
        return cast(BinaryIO, file)

    async def _read(self) -> bytes:
        """The next bytes; none at the end or once stopped."""
        data = b""
        if self._stopped:
            return data
        with anyio.CancelScope() as self._waiting:
            try:
                data = await _read_some(self._stream)
            except OSError as error:
                raise SourceError(f"-: standard input cannot be read: {error.strerror}") from error
        self._waiting = None
        return data


def refuse_terminal(stream: BinaryIO) -> None:
    """Make sure that standard input can carry audio.

    Raises:
        SourceError: The stream is a terminal.
    """
    if stream.isatty():
        raise SourceError(f"-: reads raw audio, but standard input is a terminal; try: {_EXAMPLE}")


async def _read_some(stream: BinaryIO) -> bytes:
    try:
        descriptor = stream.fileno()
    except io.UnsupportedOperation:
        return stream.read(_MOST)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        await anyio.wait_readable(descriptor)
        return os.read(descriptor, _MOST)
    return await to_thread.run_sync(os.read, descriptor, _MOST)


class _Pipe(io.RawIOBase):
    """Standard input for a decoder in a thread: what has been read, then the rest."""

    def __init__(self, held: bytes, read: Callable[[], Coroutine[Any, Any, bytes]]) -> None:
        self._held = held
        self._read = read
        self._over = False

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Some bytes; none at the end, for ever."""
        if not self._held and not self._over:
            self._over = True  # also after an error: decoders ask again
            try:
                self._held = from_thread.run(self._read)
            except SourceError:
                raise
            except BaseException:  # cancelled; nothing but an end or an exception may reach the decoder
                return b""
            self._over = not self._held
        data, self._held = self._held[:size], self._held[size:]
        return data
