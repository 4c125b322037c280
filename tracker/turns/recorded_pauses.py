"""Ending turns where a recorded session was paused: a pause leaves no trace in the audio."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tracker.sources.media import AudioChunk
from tracker.turns.segment import TurnSegmenter
from tracker.turns.turn import TurnRecord


class RecordedPauses:
    """Wraps a segmenter and ends the turns under way wherever the session was paused.

    Args:
        segmenter: The wrapped one.
        channels: Those that chunks come from.
        pauses: Samples, ascending; all channels are fed up to each before the turns end.
    """

    def __init__(self, segmenter: TurnSegmenter, channels: Iterable[int], pauses: Sequence[int]) -> None:
        self._segmenter = segmenter
        self._fed = dict.fromkeys(channels, 0)
        self._pauses = deque(pauses)
        self._later: list[AudioChunk] = []

    @property
    def media_ns(self) -> int:
        """Media fed so far."""
        return self._segmenter.media_ns

    def feed(self, chunk: AudioChunk) -> Iterator[TurnRecord]:
        """Take the next chunk."""
        if not self._pauses:
            yield from self._segmenter.feed(chunk)
            return
        at = self._pauses[0]
        length = min(max(0, at - chunk.start), len(chunk.samples))
        if length:
            yield from self._segmenter.feed(replace(chunk, samples=chunk.samples[:length]))
        if length < len(chunk.samples):
            rest = replace(chunk, start=chunk.start + length, samples=chunk.samples[length:])
            self._later.append(rest)
        self._fed[chunk.channel] = chunk.start + len(chunk.samples)
        if min(self._fed.values()) >= at:
            yield from self._pause()

    def finish(self) -> Iterator[TurnRecord]:
        """The media ended: end the turns under way."""
        while self._pauses:
            yield from self._pause()
        yield from self._segmenter.finish()

    def _pause(self) -> Iterator[TurnRecord]:
        self._pauses.popleft()
        yield from self._segmenter.finish()
        later, self._later = self._later, []
        for chunk in later:
            yield from self.feed(chunk)
