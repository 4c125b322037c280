"""Raw PCM from another program: signed 16-bit little-endian samples on standard input, channels interleaved.

The pipe blocks the writer while nothing reads it, so that nothing is lost and nothing piles up. No thread waits: the
event loop watches the pipe or socket, so that stopping works while the other program is silent.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import BinaryIO

import anyio
import numpy as np
from anyio import to_thread

from tracker.errors import SourceError
from tracker.sources.media import RATE_HZ, AudioChunk
from tracker.sources.resample import ChannelMode, Chunker, Converter

_WIDTH = 2  # bytes of one sample
_MOST = 1 << 16  # bytes read at once: the capacity of a pipe, 2 s at 16 kHz mono
_EXAMPLE = "ffmpeg -i FILE -f s16le -ac 1 -ar 16000 - | tracker run -"
_CONTAINERS = {b"RIFF": "a WAV file", b"fLaC": "a FLAC file", b"OggS": "an Ogg file", b"ID3\x03": "an MP3 file"}


class StdinSource:
    """Reads raw PCM until the writer closes its end.

    Args:
        stream: Standard input, or any binary stream.
        channels: Mix all channels into one, or keep one per speaker.
        block_ms: Length of a chunk.
        rate_hz: Rate of the samples.
        width: How many channels are interleaved.
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
    ) -> None:
        self._stream = stream
        self._frame = width * _WIDTH
        self._converter = Converter(rate_hz, width, channels)
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
            SourceError: The stream is a terminal (on entering); it ended before any audio, carries a media file, or
                cannot be read (while iterating).
        """
        refuse_terminal(self._stream)
        async with aclosing(self._chunks()) as chunks:
            yield chunks

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the user should know about its channels."""
        return self._converter.remarks

    def stop(self) -> None:
        """Read no more."""
        self._stopped = True
        if self._waiting:
            self._waiting.cancel()

    async def _chunks(self) -> AsyncGenerator[AudioChunk]:
        rest = b""
        started = False
        while data := await self._read():
            data = rest + data
            whole = len(data) // self._frame * self._frame
            if whole and not started:
                _refuse_container(data)
                started = True
            data, rest = data[:whole], data[whole:]
            values = np.frombuffer(data, "<i2").reshape(-1, self._frame // _WIDTH)
            for chunk in self._chunker.feed(self._converter.feed(values)):
                yield chunk
        if not started and not self._stopped:
            raise SourceError(f"-: standard input ended before any audio came; try: {_EXAMPLE}")
        for chunk in self._chunker.feed(self._converter.finish()) + self._chunker.finish():
            yield chunk

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


def _refuse_container(data: bytes) -> None:
    if kind := _CONTAINERS.get(data[:4]):
        raise SourceError(
            f"-: carries {kind}, but raw audio is expected; save it and name the file, or try: {_EXAMPLE}"
        )
