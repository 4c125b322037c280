"""The state of a running session: audio levels, queues, drops, broker and recorder.

The pipeline sets the gauges; a display reads them when it draws. Nothing is computed or kept where there is no display.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tracker.metrics.model import SessionMetrics
from tracker.observe.video.watcher import VideoState
from tracker.runtime.edges import Edge
from tracker.runtime.overload import LoadMonitor
from tracker.sources.media import AudioChunk, Source
from tracker.speculate import SpeculationCounts
from tracker.turns.turn import Turn

SILENCE_DB = -80.0
"""The lowest level that is reported, in decibels below full scale."""


@dataclass(frozen=True, slots=True)
class Queue:
    """One edge: how many items wait in it, and how many it has dropped."""

    name: str
    depth: int
    capacity: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Status:
    """All gauges as read at one moment.

    Attributes:
        media_ns: Media heard.
        levels_db: The loudest sample of each channel since the last reading, in decibels below full scale.
        paused: Whether the user has paused listening.
        queues: Every edge of the path and of the sinks.
        lost_samples: Samples that the source lost.
        broker: The state of the connection to the broker; empty where there is none.
        recorder: The session's folder; empty where it is not recorded.
        video: The state of the video.
        failed_sinks: Names of sinks that failed; the session goes on without them.
        metrics: The session's metrics; None where they are not collected.
    """

    media_ns: int = 0
    levels_db: tuple[float, ...] = ()
    paused: bool = False
    queues: tuple[Queue, ...] = ()
    lost_samples: int = 0
    broker: str = ""
    recorder: str = ""
    video: VideoState = field(default_factory=VideoState)
    failed_sinks: tuple[str, ...] = ()
    metrics: SessionMetrics | None = None

    @property
    def dropped(self) -> int:
        """Items dropped on any edge."""
        return sum(queue.dropped for queue in self.queues)

    @property
    def waiting(self) -> int:
        """Items waiting on any edge."""
        return sum(queue.depth for queue in self.queues)


class Gauges:
    """Set by the pipeline, read by a display.

    Attributes:
        paused: Whether the user has paused listening.
        broker: Reads the state of the connection to the broker.
        messages_refused: Counts what the broker refused.
        recorder: The session's folder.
        speculation: Counts speculative work before the end of a turn.
        media_ns: Media heard.
        load: The load of the whole process, or None where it is not measured.
        metrics: Reads the session's metrics, or None where they are not collected.
        video: Reads the state of the video.
    """

    def __init__(self, load: LoadMonitor | None = None) -> None:
        self.load = load
        self.metrics: Callable[[], SessionMetrics] | None = None
        self.paused = False
        self.broker: Callable[[], str] = str
        self.messages_refused: Callable[[], int] = int
        self.video: Callable[[], VideoState] = VideoState
        self.recorder = ""
        self.speculation = SpeculationCounts()
        self._source: Source | None = None
        self._path: list[Edge[Any]] = []
        self._sinks: list[Edge[Any]] = []
        self._ended = False
        self._peaks: dict[int, float] = {}
        self.media_ns = 0

    def attach(self, source: Source, path: Sequence[Edge[Any]], sinks: Sequence[Edge[Any]]) -> None:
        """Read this source and these edges from now on."""
        self._source, self._path, self._sinks = source, list(path), list(sinks)

    def measure(self, chunk: AudioChunk) -> None:
        """Take the time and the level of a chunk."""
        self.media_ns = chunk.end_ns
        if len(chunk.samples):
            peak = float(np.abs(chunk.samples).max())
            self._peaks[chunk.channel] = max(peak, self._peaks.get(chunk.channel, 0.0))

    def turn_ended(self, turn: Turn) -> None:
        """A turn has ended and waits to be judged."""
        if self.load:
            self.load.turn_decided(self, turn.number, turn.decided_at_ns)

    def turn_published(self, turn: Turn) -> None:
        """A turn's judgement, or why there is none, is published."""
        if self.load:
            self.load.turn_published(self, turn.number)

    def may_speculate(self) -> bool:
        """Whether there is time for work that may be wasted."""
        return self.load is None or self.load.may_speculate()

    def may_publish_partials(self) -> bool:
        """Whether there is time for turns that are not over."""
        return self.load is None or self.load.may_publish_partials()

    def detach(self) -> None:
        """The path has ended: edges that are closed now have not failed."""
        self._ended = True
        if self.load:
            self.load.session_ended(self)

    def queues(self) -> tuple[Queue, ...]:
        """Every edge, as it is now."""
        edges = [*self._path, *self._sinks]
        return tuple(Queue(edge.name, edge.depth, edge.capacity, edge.dropped) for edge in edges)

    @property
    def lost_samples(self) -> int:
        """Samples that the source lost."""
        return self._source.dropped if self._source else 0

    def read(self) -> Status:
        """Read all gauges, and begin a new measurement of the levels."""
        channels = self._source.channels if self._source else 0
        levels = tuple(decibels(self._peaks.get(channel, 0.0)) for channel in range(channels))
        self._peaks.clear()
        return Status(
            media_ns=self.media_ns,
            levels_db=() if self._ended else levels,
            paused=self.paused,
            queues=self.queues(),
            lost_samples=self.lost_samples,
            broker=self.broker(),
            recorder=self.recorder,
            video=self.video(),
            failed_sinks=() if self._ended else tuple(edge.name for edge in self._sinks if edge.closed),
            metrics=self.metrics() if self.metrics else None,
        )


def decibels(peak: float) -> float:
    """A sample's magnitude, where 1 is full scale, in decibels; `SILENCE_DB` at least."""
    return max(SILENCE_DB, 20 * math.log10(peak)) if peak > 0 else SILENCE_DB
