"""Audio that a program pushes: any rate, any number of channels, in pieces of any length."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import anyio
import numpy as np
from jaxtyping import Float32, Shaped

from tracker.runtime.edges import Edge
from tracker.sources.media import AudioChunk
from tracker.sources.resample import ChannelMode, Chunker, Converter

_BLOCK_MS = 20
_PIECES = 64

_Piece = tuple[int, Float32[np.ndarray, "frames channels"]]
"""Samples lost before it, and the samples."""


class PushSource:
    """A source that gives what `feed` takes.

    Args:
        rate_hz: Rate of the samples.
        channels: How many channels are fed.
        mode: Mix all channels into one, or keep one per speaker.
        name: Shown to people and in events.
        live: Whether the audio is captured as it is fed. Then a declared purpose is needed, as for a microphone; what
            nobody takes in time is dropped; and nothing is taken while listening is paused. Otherwise `feed` waits.

    Raises:
        ValueError: There is no such rate or number of channels.
    """

    def __init__(
        self, rate_hz: int, channels: int = 1, *, mode: ChannelMode = "mix", name: str = "push", live: bool = False
    ) -> None:
        if rate_hz < 1000 or channels < 1:
            raise ValueError(f"cannot take {channels} channels at {rate_hz} Hz; give at least 1 at 1000 Hz")
        self.name = name
        self.live = live
        self.dropped = 0
        self._width = channels
        self._converter = Converter(rate_hz, channels, mode)
        self.channels = self._converter.channels
        self._pieces: Edge[_Piece] = Edge("push", _PIECES)
        self._missing = 0  # samples lost since the last piece
        self._resumed = anyio.Event()
        self._resumed.set()

    async def feed(self, samples: Shaped[np.ndarray, "*frames_channels"]) -> bool:
        """Push the next samples; may wait until there is room for them.

        Args:
            samples: One value per frame, or frames by channels; integers over their whole range, or floats in [-1, 1].

        Returns:
            False where the session listens no more.

        Raises:
            ValueError: The array has another number of channels.
        """
        frames = samples[:, None] if samples.ndim == 1 else samples
        if frames.ndim != 2 or frames.shape[1] != self._width:
            raise ValueError(f"an array of shape {samples.shape} is not frames of {self._width} channels")
        if self._pieces.closed:
            return False
        if self.live and not self._resumed.is_set():
            return True
        return await self._put(self._converter.feed(frames))

    async def finish(self) -> None:
        """Nothing more will be fed: the session ends after what was."""
        if not self._pieces.closed:
            await self._put(self._converter.finish())
            self._pieces.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[AudioChunk]]:
        """Begin to deliver; what was fed before is delivered, too."""
        async with aclosing(self._chunks()) as chunks:
            try:
                yield chunks
            finally:
                self.stop()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the user should know about its channels."""
        return self._converter.remarks

    def stop(self) -> None:
        """Take nothing more; what was fed is still delivered."""
        self._pieces.close()
        self._resumed.set()

    def pause(self) -> None:
        """Deliver nothing more until `resume`; of a live source, take nothing."""
        self._resumed = anyio.Event()

    def resume(self) -> None:
        """Go on."""
        self._resumed.set()

    async def _put(self, samples: Float32[np.ndarray, "frames channels"]) -> bool:
        if self.live and self._pieces.depth >= self._pieces.capacity:
            self.dropped += len(samples)
            self._missing += len(samples)
            return True
        missing, self._missing = self._missing, 0
        return await self._pieces.offer((missing, samples))

    async def _chunks(self) -> AsyncGenerator[AudioChunk]:
        blocks = Chunker(_BLOCK_MS)
        async for missing, samples in self._pieces:
            if not self.live:
                await self._resumed.wait()
            if missing:
                for chunk in blocks.finish():
                    yield chunk
                blocks.skip_to(blocks.end + missing)
            for chunk in blocks.feed(samples):
                yield chunk
        for chunk in blocks.finish():
            yield chunk
