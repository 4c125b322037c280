"""A source around another one, which inspects or delays its chunks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from tracker.sources.media import AudioChunk, Checkable, Remarking, Source


class SourceWrapper(ABC):
    """Delegates all of a source but what happens to its chunks.

    Args:
        source: The wrapped source.
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

    @property
    def remarks(self) -> Sequence[str]:
        """What the wrapped source has to tell."""
        return self._source.remarks if isinstance(self._source, Remarking) else ()

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
        async with self._source.open() as chunks, aclosing(self._wrap(chunks)) as wrapped:
            yield wrapped

    def stop(self) -> None:
        """End the wrapped source."""
        self._source.stop()

    @abstractmethod
    def _wrap(self, chunks: AsyncIterator[AudioChunk]) -> AsyncGenerator[AudioChunk]:
        """The chunks of this source from those of the wrapped one."""
