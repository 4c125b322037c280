"""A media file as a source: decoded a little at a time, as fast as it is read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing
from dataclasses import replace
from itertools import islice
from pathlib import PurePath
from typing import BinaryIO

import anyio
from anyio import to_thread

from tracker.errors import SourceError, SourceLost
from tracker.runtime.unicode import as_unicode
from tracker.sources.decode import FORMATS, LONGEST_S, MOST_CHANNELS, Decoder, open_regular
from tracker.sources.media import AudioChunk
from tracker.sources.resample import ChannelMode, Chunker, Converter

_BATCH = 50  # chunks decoded per visit to the thread: 1 s at 20 ms, and all that is ever held


class FileSource:
    """Any file with audio that FFmpeg reads: wav, flac, mp3, m4a, mp4, mkv, ogg ...

    Args:
        path: As the user gave it; named so in errors.
        channels: Mix all channels into one, or keep one per speaker; of a file with several audio tracks, each track
            is a speaker.
        block_ms: Length of a chunk.
        track: Which audio track is heard, from 1; 0: the best one, or each where channels are kept separate.
        formats: FFmpeg's names of those that the file may have.
        open_file: Opens it.

    Attributes:
        remarks: What the user should know about the file.
    """

    live = False
    dropped = 0

    def __init__(
        self,
        path: str,
        channels: ChannelMode = "mix",
        block_ms: int = 20,
        *,
        track: int = 0,
        formats: str = FORMATS,
        open_file: Callable[[str], BinaryIO] = open_regular,
    ) -> None:
        self.name = as_unicode(PurePath(path).name)
        self.channels = 1
        self.remarks: tuple[str, ...] = ()
        self._path = path
        self._mode: ChannelMode = channels
        self._block_ms = block_ms
        self._chunker = Chunker(block_ms)
        self._track = track
        self._formats = formats
        self._open_file = open_file
        self._parts: Sequence[FileSource] = ()
        self._stopped = False
        self._thread = anyio.CapacityLimiter(1)

    def check(self) -> None:
        """Make sure that the file is there and begins with sound."""
        with self._open_file(self._path) as file, closing(self._decoder(file)) as decoder:
            if next(decoder.samples(), None) is None:
                raise decoder.lost or no_audio(self._path)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[AudioChunk]]:
        """Open the file and decode its first second, so that its errors show at once.

        Raises:
            SourceError: Missing, unreadable, not media, without audio, or of length zero (on entering).
            SourceLost: Its end cannot be read or decoded (while iterating, after what could be).
        """
        with await to_thread.run_sync(self._open_file, self._path, limiter=self._thread) as file:
            decoder = await to_thread.run_sync(self._decoder, file, limiter=self._thread)
            try:
                if self._mode == "separate" and decoder.tracks > 1 and not self._track:
                    opening = self._open_tracks(decoder.tracks)
                else:
                    opening = self._open_track(decoder)
                async with opening as chunks:
                    yield chunks
            finally:
                decoder.close()

    def stop(self) -> None:
        """Deliver nothing more."""
        self._stopped = True
        for part in self._parts:
            part.stop()

    def _decoder(self, file: BinaryIO) -> Decoder:
        return Decoder(self._path, file, self._track, self._formats)

    @asynccontextmanager
    async def _open_track(self, decoder: Decoder) -> AsyncIterator[AsyncIterator[AudioChunk]]:
        chunks = self._convert(decoder)
        first = await self._next(chunks)
        if not first:
            raise decoder.lost or no_audio(self._path)
        if decoder.tracks > 1:
            others = "" if self._track else "; input.track chooses another, --channels separate hears each as a speaker"
            self.remarks += (f"hears audio track {decoder.track} of {decoder.tracks}{others}",)
        if decoder.stated_s > LONGEST_S:
            stated_h, heard_h = decoder.stated_s / 3600, LONGEST_S / 3600
            self.remarks += (f"states a length of {stated_h:.0f} h, of which {heard_h:.0f} h are heard",)
        async with aclosing(self._stream(decoder, first, chunks)) as stream:
            yield stream

    @asynccontextmanager
    async def _open_tracks(self, count: int) -> AsyncIterator[AsyncIterator[AudioChunk]]:
        # Each is read by itself: in the file, one may lie far behind the other.
        if count > MOST_CHANNELS:
            raise SourceError(f"{self._path}: has {count} audio tracks; choose one with input.track")
        self._parts = [FileSource(self._path, "mix", self._block_ms, track=n + 1) for n in range(count)]
        self.channels = count
        self.remarks = (f"hears each of its {count} audio tracks as a speaker; input.track chooses one",)
        async with side_by_side(dict(enumerate(self._parts))) as chunks:
            yield chunks

    async def _stream(
        self, decoder: Decoder, batch: list[AudioChunk], chunks: Iterator[AudioChunk]
    ) -> AsyncGenerator[AudioChunk]:
        while batch:
            for chunk in batch:
                if self._stopped:
                    return
                yield chunk
            batch = await self._next(chunks)
        if decoder.lost and not self._stopped:
            raise decoder.lost

    async def _next(self, chunks: Iterator[AudioChunk]) -> list[AudioChunk]:
        # A cancelled caller waits for the thread: that is one batch, some milliseconds.
        return await to_thread.run_sync(lambda: list(islice(chunks, _BATCH)), limiter=self._thread)

    def _convert(self, decoder: Decoder) -> Iterator[AudioChunk]:
        converter: Converter | None = None
        shape = (0, 0)
        for part in decoder.samples():
            if converter is None or part.shape != shape:  # the first part, or files joined into one
                following = Converter(*part.shape, self._mode)
                if converter:
                    yield from self._chunker.feed(converter.finish())
                    if following.channels != converter.channels:
                        decoder.lost = SourceLost(
                            f"{self._path}: changes from {converter.channels} to {following.channels} channels; "
                            "use --channels mix"
                        )
                        converter = None
                        break
                converter, shape = following, part.shape
                self.channels = converter.channels
            yield from self._chunker.feed(converter.feed(part.values))
            self.remarks = tuple(dict.fromkeys(self.remarks + converter.remarks))
        if converter:
            yield from self._chunker.feed(converter.finish())
        yield from self._chunker.finish()


@asynccontextmanager
async def side_by_side(sources: Mapping[int, FileSource]) -> AsyncIterator[AsyncIterator[AudioChunk]]:
    """Open sources of one channel each, and play a block of each at a time.

    Args:
        sources: By the number that its channel gets.

    Raises:
        SourceError: One cannot be read (on entering, or while iterating).
    """
    async with AsyncExitStack() as stack:
        streams = {number: await stack.enter_async_context(source.open()) for number, source in sources.items()}
        yield await stack.enter_async_context(aclosing(_interleave(streams)))


async def _interleave(left: dict[int, AsyncIterator[AudioChunk]]) -> AsyncGenerator[AudioChunk]:
    while left:
        for number in list(left):
            chunk = await anext(left[number], None)
            if chunk is None:
                del left[number]
            else:
                yield replace(chunk, channel=number)


def no_audio(path: str) -> SourceError:
    """The error of a file whose audio stream is empty."""
    return SourceError(f"{path}: holds no audio (its length is zero)")
