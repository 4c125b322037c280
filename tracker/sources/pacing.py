"""A recording played as if it were live: each chunk is released once its media time has passed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

import anyio

from tracker.runtime.clock import Clock
from tracker.sources.media import AudioChunk, Source
from tracker.sources.wrapper import SourceWrapper


class PacedSource(SourceWrapper):
    """Wraps a recorded source; the schedule counts from the first chunk and never drifts.

    Nothing is dropped: where the reader is slower than the recording, chunks come late.

    Args:
        source: The recorded source.
        clock: Tells when a chunk's time has passed.
    """

    def __init__(self, source: Source, clock: Clock) -> None:
        super().__init__(source)
        self._clock = clock
        self._stopped = False
        self._waiting: anyio.CancelScope | None = None
        self._resumed = anyio.Event()
        self._paused = False

    def stop(self) -> None:
        """End now; chunks that have not been released are left out."""
        self._stopped = True
        super().stop()
        self._resumed.set()
        if self._waiting:
            self._waiting.cancel()

    def pause(self) -> None:
        """Release nothing more; the schedule stands still."""
        self._paused = True
        self._resumed = anyio.Event()
        if self._waiting:
            self._waiting.cancel()

    def resume(self) -> None:
        """Go on where it was paused."""
        self._paused = False
        self._resumed.set()

    async def _wrap(self, chunks: AsyncIterator[AudioChunk]) -> AsyncGenerator[AudioChunk]:
        origin_ns: int | None = None
        async for chunk in chunks:
            if origin_ns is None:
                origin_ns = self._clock.now_ns() - chunk.start_ns
            while not self._stopped and not await self._reached(origin_ns + chunk.end_ns):
                paused_ns = self._clock.now_ns()
                await self._resumed.wait()
                origin_ns += self._clock.now_ns() - paused_ns
            if self._stopped:
                return
            yield chunk

    async def _reached(self, moment_ns: int) -> bool:
        """Wait for a moment; False where a stop or a pause came first."""
        if self._paused:
            return False
        with anyio.CancelScope() as self._waiting:
            await self._clock.sleep_until_ns(moment_ns)
        self._waiting = None
        return not self._stopped and not self._paused
