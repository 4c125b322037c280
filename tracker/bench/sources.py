"""Sources for benchmarks: a wrapper that shows each chunk to a function, a loop, and silence."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import final

import anyio.lowlevel
import numpy as np

from tracker.runtime.clock import NS_PER_S, Clock
from tracker.sources.media import RATE_HZ, AudioChunk, Source
from tracker.sources.wrapper import SourceWrapper

_CHUNK = RATE_HZ // 50


class MediaOrigin:
    """Finds when on the clock a session's media time 0 was.

    Args:
        clock: The monotonic clock.

    Attributes:
        ns: The clock at media time 0, by the chunk with the least delay; None before the first.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ns: int | None = None

    def __call__(self, chunk: AudioChunk) -> None:
        """Take the next chunk when it arrives."""
        origin_ns = self._clock.now_ns() - chunk.end_ns
        self.ns = origin_ns if self.ns is None else min(self.ns, origin_ns)


@final
class TappedSource(SourceWrapper):
    """Shows each chunk of a source to a function.

    Args:
        source: The wrapped source.
        note: Called with each chunk when it arrives.
    """

    def __init__(self, source: Source, note: Callable[[AudioChunk], None]) -> None:
        super().__init__(source)
        self._note = note

    async def _wrap(self, chunks: AsyncIterator[AudioChunk]) -> AsyncGenerator[AudioChunk]:
        async for chunk in chunks:
            self._note(chunk)
            yield chunk


@final
class SilentSource:
    """Digital silence on one channel.

    Args:
        seconds: How long.
    """

    name = "silence"
    live = False
    dropped = 0
    channels = 1

    def __init__(self, seconds: float) -> None:
        self._chunks = round(seconds * RATE_HZ) // _CHUNK
        self._stopped = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[AudioChunk]]:
        """Begin."""
        async with aclosing(self._give()) as chunks:
            yield chunks

    def stop(self) -> None:
        """End."""
        self._stopped = True

    async def _give(self) -> AsyncGenerator[AudioChunk]:
        for number in range(self._chunks):
            if self._stopped:
                return
            await anyio.lowlevel.checkpoint()
            yield AudioChunk(0, number * _CHUNK, np.zeros(_CHUNK, np.float32))


@final
class LoopedSource:
    """Sources one after the other, again and again, as one long recording.

    Args:
        makers: Make each source anew; all with as many channels as the first.
        seconds: Media time after which it ends.
    """

    live = False
    dropped = 0

    def __init__(self, makers: list[Callable[[], Source]], seconds: float) -> None:
        self._makers = makers
        self._end_ns = round(seconds * NS_PER_S)
        self._current = makers[0]()
        self._stopped = False
        self.name = f"{self._current.name} and so on"

    @property
    def channels(self) -> int:
        """How many channels the chunks come from."""
        return self._current.channels

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[AudioChunk]]:
        """Open the first source.

        Raises:
            SourceError: It cannot be opened (on entering), or a later one cannot (while iterating).
        """
        async with self._current.open() as first, aclosing(self._give(first)) as chunks:
            yield chunks

    def stop(self) -> None:
        """End."""
        self._stopped = True
        self._current.stop()

    async def _give(self, first: AsyncIterator[AudioChunk]) -> AsyncGenerator[AudioChunk]:
        begin, end, turn = 0, 0, 0
        async for chunk in first:
            end = max(end, chunk.start + len(chunk.samples))
            yield chunk
        while not self._stopped:
            begin, turn = end, turn + 1
            self._current = self._makers[turn % len(self._makers)]()
            async with self._current.open() as chunks:
                async for chunk in chunks:
                    moved = replace(chunk, start=begin + chunk.start)
                    if self._stopped or moved.end_ns > self._end_ns:
                        return
                    end = max(end, moved.start + len(moved.samples))
                    yield moved
