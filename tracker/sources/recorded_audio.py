"""The audio of a recorded session as a source: one file per channel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tracker.sources.files import FileSource, side_by_side
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
        self._files = {number: FileSource(str(path), block_ms=block_ms, formats="flac") for number, path in tracks}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[AudioChunk]]:
        """Open every file.

        Raises:
            SourceError: A file cannot be read (on entering, or while iterating).
        """
        async with side_by_side(self._files) as chunks:
            yield chunks

    def stop(self) -> None:
        """Deliver nothing more."""
        for file in self._files.values():
            file.stop()
