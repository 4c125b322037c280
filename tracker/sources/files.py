"""A media file as a source: decoded a little at a time, as fast as it is read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, closing
from itertools import islice
from pathlib import PurePath

import anyio
from anyio import to_thread

from tracker.errors import SourceError, SourceLost
from tracker.runtime.unicode import as_unicode
from tracker.sources.decode import Decoder, open_regular
from tracker.sources.media import AudioChunk
from tracker.sources.resample import ChannelMode, Chunker, Converter

_BATCH = 50  # chunks decoded per visit to the thread: 1 s at 20 ms, and all that is ever held


class FileSource:
    """Any file with audio that FFmpeg reads: wav, flac, mp3, m4a, mp4, mkv, ogg ...

    Args:
        path: As the user gave it; named so in errors.
        channels: Mix all channels into one, or keep one per speaker.
        block_ms: Length of a chunk.
    """

    live = False
    dropped = 0

    def __init__(self, path: str, channels: ChannelMode = "mix", block_ms: int = 20) -> None:
        self.name = as_unicode(PurePath(path).name)
        self.channels = 1
        self._path = path
        self._mode: ChannelMode = channels
        self._chunker = Chunker(block_ms)
        self._stopped = False
        self._thread = anyio.CapacityLimiter(1)

    def check(self) -> None:
        """Make sure that the file is there and begins with sound."""
        with open_regular(self._path) as file, closing(Decoder(self._path, file)) as decoder:
            if next(decoder.samples(), None) is None:
                raise decoder.lost or no_audio(self._path)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[AudioChunk]]:
        """Open the file and decode its first second, so that its errors show at once.

        Raises:
            SourceError: Missing, unreadable, not media, without audio, or of length zero (on entering).
            SourceLost: Its end cannot be read or decoded (while iterating, after what could be).
        """
        with await to_thread.run_sync(open_regular, self._path, limiter=self._thread) as file:
            decoder = await to_thread.run_sync(Decoder, self._path, file, limiter=self._thread)
            try:
                chunks = self._convert(decoder)
                first = await self._next(chunks)
                if not first:
                    raise decoder.lost or no_audio(self._path)
                async with aclosing(self._stream(decoder, first, chunks)) as stream:
                    yield stream
            finally:
                decoder.close()

    def stop(self) -> None:
        """Deliver nothing more."""
        self._stopped = True

    async def _stream(
        self, decoder: Decoder, batch: list[AudioChunk], chunks: Iterator[AudioChunk]
    ) -> AsyncGenerator[AudioChunk]:
        while batch:
            for chunk in batch:
                if self._stopped:
                    return
                yield chunk
            batch = await self._next(chunks)
        if decoder.lost:
            raise decoder.lost

    async def _next(self, chunks: Iterator[AudioChunk]) -> list[AudioChunk]:
        # A cancelled caller waits for the thread: that is one batch, some milliseconds.
        return await to_thread.run_sync(lambda: list(islice(chunks, _BATCH)), limiter=self._thread)

    def _convert(self, decoder: Decoder) -> Iterator[AudioChunk]:
        converter: Converter | None = None
        shape = (0, 0)
        for part in decoder.samples():
            if converter is None or part.shape != shape:  # the first part, or files joined into one
                if converter:
                    yield from self._chunker.feed(converter.finish())
                converter, shape = Converter(*part.shape, self._mode), part.shape
                if self._chunker.end and converter.channels != self.channels:
                    decoder.lost = SourceLost(f"{self._path}: its number of channels changes; use --channels mix")
                    break
                self.channels = converter.channels
            yield from self._chunker.feed(converter.feed(part.values))
        if converter:
            yield from self._chunker.feed(converter.finish())
        yield from self._chunker.finish()


def no_audio(path: str) -> SourceError:
    """The error of a file whose audio stream is empty."""
    return SourceError(f"{path}: holds no audio (its length is zero)")
