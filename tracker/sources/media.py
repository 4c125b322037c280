"""The records that sources produce, and what a source is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from tracker.runtime.clock import samples_to_ns

RATE_HZ = 16_000
"""Sample rate of all audio inside the tracker: what webrtcvad, Whisper and the speaker model take."""


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A stretch of one channel, at `RATE_HZ`.

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
    """Where audio comes from. Opened once; iterated once; `stop` ends the iteration cleanly."""

    @property
    def name(self) -> str:
        """``mic``, ``stdin`` or the file's name; shown to people, never a full path."""

    @property
    def live(self) -> bool:
        """Whether the source is heard as it happens; then late audio is dropped rather than waited for."""

    @property
    def channels(self) -> int:
        """How many channels the chunks come from; known once the source is open."""

    @property
    def dropped(self) -> int:
        """Samples lost because nobody took them in time."""

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[AudioChunk]]:
        """Open the device or file; the chunks of one channel are contiguous unless samples were lost.

        Raises:
            SourceError: It cannot be opened or read (on entering), or was lost (while iterating).
        """

    def stop(self) -> None:
        """Hear nothing more: the iteration ends after what was already captured."""


@runtime_checkable
class Checkable(Protocol):
    """A source that can tell, before any model is loaded, that it cannot be opened."""

    def check(self) -> None:
        """Refuse at once what `Source.open` would refuse later; blocks a moment.

        Raises:
            SourceError: There is no such device or file, or it holds no sound.
        """


@runtime_checkable
class Pausable(Protocol):
    """A source that can be closed for a while. Others are just not read meanwhile.

    Media time stands still: the first chunk after a pause begins where the last one before it ended.
    """

    def pause(self) -> None:
        """Hear nothing more until `resume`; what was captured is still delivered."""

    def resume(self) -> None:
        """Go on."""
