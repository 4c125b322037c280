"""A source around another one, which looks at each chunk or holds it back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from tracker.sources.media import AudioChunk, Checkable, Source


class Wrapped(ABC):
    """All of a source but what becomes of its chunks.

    Args:
        source: What is wrapped.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.name = source.name
        self.live = source.live

    @property
    def channels(self) -> int:
        """How many channels the chunks come from."""
        return self._source.channels

    @property
    def dropped(self) -> int:
        """Samples that the wrapped source lost."""
        return self._source.dropped

    def check(self) -> None:
        """Refuse what the wrapped source refuses."""
        if isinstance(self._source, Checkable):
            self._source.check()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[AudioChunk]]:
        """Open the wrapped source.

        Raises:
            SourceError: As the wrapped source does.
        """
        async with self._source.open() as chunks, aclosing(self._pass(chunks)) as passed:
            yield passed

    def stop(self) -> None:
        """Hear nothing more."""
        self._source.stop()

    @abstractmethod
    def _pass(self, chunks: AsyncIterator[AudioChunk]) -> AsyncGenerator[AudioChunk]:
        """Give on what the wrapped source gives."""
