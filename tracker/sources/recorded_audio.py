"""The audio of a recorded session as a source: one file per channel."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from tracker.sources.files import FileSource
from tracker.sources.media import AudioChunk


class RecordedSource:
    """Plays the channels side by side, a block of each at a time.

    Args:
        name: The source that was recorded.
        tracks: Each file, of one channel, and the number of its channel; at least one.
        channels: How many channels there were; a channel that was always silent has no file.
        block_ms: Length of a chunk.
    """

    live = False
    dropped = 0

    def __init__(self, name: str, tracks: Sequence[tuple[int, Path]], channels: int, block_ms: int) -> None:
        self.name = name
        self.channels = channels
        self._numbers = [number for number, _ in tracks]
        self._files = [FileSource(str(path), block_ms=block_ms) for _, path in tracks]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[AudioChunk]]:
        """Open every file.

        Raises:
            SourceError: A file cannot be read (on entering, or while iterating).
        """
        async with AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(file.open()) for file in self._files]
            async with aclosing(self._interleave(streams)) as chunks:
                yield chunks

    def stop(self) -> None:
        """Deliver nothing more."""
        for file in self._files:
            file.stop()

    async def _interleave(self, streams: Sequence[AsyncIterator[AudioChunk]]) -> AsyncGenerator[AudioChunk]:
        left = dict(zip(self._numbers, streams, strict=True))
        while left:
            for number in list(left):
                chunk = await anext(left[number], None)
                if chunk is None:
                    del left[number]
                else:
                    yield replace(chunk, channel=number)
