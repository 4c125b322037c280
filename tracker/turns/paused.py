"""Ending turns where listening was paused, when a recording of it is heard: a pause leaves no trace in the audio."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tracker.sources.media import AudioChunk
from tracker.turns.segment import Cutter
from tracker.turns.turn import TurnRecord


class PausedCutter:
    """Cuts turns as another does, and ends those under way wherever listening was paused.

    Args:
        cutter: Does the cutting.
        channels: Those that chunks come from.
        pauses: Samples, ascending; what comes before each is heard by all channels before the turns end.
    """

    def __init__(self, cutter: Cutter, channels: Iterable[int], pauses: Sequence[int]) -> None:
        self._cutter = cutter
        self._heard = dict.fromkeys(channels, 0)
        self._pauses = deque(pauses)
        self._later: list[AudioChunk] = []

    @property
    def media_ns(self) -> int:
        """Media heard so far."""
        return self._cutter.media_ns

    def feed(self, chunk: AudioChunk) -> Iterator[TurnRecord]:
        """Take the next chunk."""
        if not self._pauses:
            yield from self._cutter.feed(chunk)
            return
        at = self._pauses[0]
        length = min(max(0, at - chunk.start), len(chunk.samples))
        if length:
            yield from self._cutter.feed(replace(chunk, samples=chunk.samples[:length]))
        if length < len(chunk.samples):
            rest = replace(chunk, start=chunk.start + length, samples=chunk.samples[length:])
            self._later.append(rest)
        self._heard[chunk.channel] = chunk.start + len(chunk.samples)
        if min(self._heard.values()) >= at:
            yield from self._pause()

    def finish(self) -> Iterator[TurnRecord]:
        """The media ended: end the turns under way."""
        while self._pauses:
            yield from self._pause()
        yield from self._cutter.finish()

    def _pause(self) -> Iterator[TurnRecord]:
        self._pauses.popleft()
        yield from self._cutter.finish()
        later, self._later = self._later, []
        for chunk in later:
            yield from self.feed(chunk)
