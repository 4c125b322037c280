"""The record that audio sources produce, and the protocol of a source."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from tracker.errors import SourceError, SourceLost, sentence_of
from tracker.runtime.clock import samples_to_ns

RATE_HZ = 16_000
"""Sample rate of all audio inside the tracker: what webrtcvad, Whisper and the speaker model take."""


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A piece of one channel, at `RATE_HZ`.

    Attributes:
        channel: 0 unless channels are kept separate.
        start: Index of the first sample since session start, counted by the source, lost samples included.
        samples: Mono, in [-1, 1].
    """

    channel: int
    start: int
    samples: Float32[np.ndarray, " samples"]

    @property
    def start_ns(self) -> int:
        """Media time of the first sample."""
        return samples_to_ns(self.start, RATE_HZ)

    @property
    def end_ns(self) -> int:
        """Media time just after the last sample."""
        return samples_to_ns(self.start + len(self.samples), RATE_HZ)


@runtime_checkable
class Source(Protocol):
    """A source of audio. Opened once, iterated once; `stop` ends the iteration cleanly."""

    @property
    def name(self) -> str:
        """``mic``, ``stdin`` or the file's name; shown to people, never a full path."""

    @property
    def live(self) -> bool:
        """Whether the audio is captured as it happens; then late audio is dropped rather than waited for."""

    @property
    def channels(self) -> int:
        """How many channels the chunks come from; known once the source is open."""

    @property
    def dropped(self) -> int:
        """Samples lost because they were not read in time."""

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[AudioChunk]]:
        """Open the device or file; the chunks of one channel are contiguous unless samples were lost.

        Raises:
            SourceError: The source cannot be opened or read (on entering), or was lost (while iterating).
        """

    def stop(self) -> None:
        """Capture nothing more: the iteration ends after what was already captured."""


@runtime_checkable
class Checkable(Protocol):
    """A source that can tell, before any model is loaded, that it cannot be opened."""

    def check(self) -> None:
        """Refuse at once what `Source.open` would refuse later; blocks a moment.

        Raises:
            SourceError: There is no such device or file, or it holds no sound.
        """


@runtime_checkable
class Remarking(Protocol):
    """A source that has something to tell the user about what it is."""

    @property
    def remarks(self) -> Sequence[str]:
        """Sentences; some are known once the source is open, others later."""


@runtime_checkable
class Pausable(Protocol):
    """A source that can be paused. Any other source is simply not read meanwhile.

    Media time stands still: the first chunk after a pause begins where the last one before it ended.
    """

    def pause(self) -> None:
        """Capture nothing until `resume`; what was already captured is still delivered."""

    def resume(self) -> None:
        """Capture again."""


@asynccontextmanager
async def opened(source: Source) -> AsyncIterator[AsyncIterator[AudioChunk]]:
    """Open a source, of whatever package; one that fails in its own way has failed as a source.

    Raises:
        SourceError: It cannot be opened (on entering).
        SourceLost: It failed while it was read (while iterating).
    """
    async with AsyncExitStack() as stack:
        try:
            chunks = await stack.enter_async_context(source.open())
        except SourceError:
            raise
        except Exception as error:
            raise SourceError(f"{source.name}: cannot be opened: {sentence_of(error)}") from error
        yield await stack.enter_async_context(aclosing(_read(source, chunks)))


async def _read(source: Source, chunks: AsyncIterator[AudioChunk]) -> AsyncGenerator[AudioChunk]:
    with failing_as_lost(source):
        async with aclosing(chunks) if isinstance(chunks, AsyncGenerator) else nullcontext():
            async for chunk in chunks:
                samples = chunk.samples
                if not 0 <= chunk.channel < source.channels or samples.ndim != 1 or samples.dtype.kind != "f":
                    raise ValueError(
                        f"gave samples of shape {samples.shape} and type {samples.dtype} of channel {chunk.channel}; "
                        f"floats of one of {source.channels} channels are wanted"
                    )
                yield chunk


@contextmanager
def failing_as_lost(source: Source) -> Iterator[None]:
    """A source that fails in its own way, in this block, was lost.

    Raises:
        SourceLost: It failed.
    """
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        raise SourceLost(f"{source.name}: failed: {sentence_of(error)}") from error
