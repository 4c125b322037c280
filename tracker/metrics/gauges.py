"""What the machine is doing right now, for whoever looks: levels, queues, drops, broker and recorder.

The pipeline notes; a display reads when it draws. Nothing is computed, kept or sent for a display that is not there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tracker.metrics.vitals import Vitals
from tracker.observe.video.watcher import VideoState
from tracker.runtime.edges import Edge
from tracker.runtime.overload import LoadMonitor
from tracker.sources.media import AudioChunk, Source
from tracker.speculate import SpeculationCounts
from tracker.turns.turn import Turn

SILENCE_DB = -80.0
"""The lowest level that is told, in decibels below full scale."""


@dataclass(frozen=True, slots=True)
class Queue:
    """One edge: how many items wait in it, and how many it has dropped."""

    name: str
    depth: int
    capacity: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Status:
    """One look at the gauges.

    Attributes:
        media_ns: Media heard.
        levels_db: The loudest sample of each channel since the last look, in decibels below full scale.
        paused: Whether the source is closed on the user's wish.
        queues: Every edge of the path and of the sinks.
        lost_samples: Samples that the source lost.
        broker: What the connection to the broker is doing; empty where there is none.
        recorder: Where the session is kept; empty where it is not.
        video: How watching goes.
        gave_up: Names of sinks that failed and are left out.
        vitals: How the session goes in numbers; None where nobody counts.
    """

    media_ns: int = 0
    levels_db: tuple[float, ...] = ()
    paused: bool = False
    queues: tuple[Queue, ...] = ()
    lost_samples: int = 0
    broker: str = ""
    recorder: str = ""
    video: VideoState = field(default_factory=VideoState)
    gave_up: tuple[str, ...] = ()
    vitals: Vitals | None = None

    @property
    def dropped(self) -> int:
        """Items dropped on any edge."""
        return sum(queue.dropped for queue in self.queues)

    @property
    def waiting(self) -> int:
        """Items waiting on any edge."""
        return sum(queue.depth for queue in self.queues)


class Gauges:
    """Filled by the pipeline, read by a display.

    Attributes:
        paused: Set by the pipeline.
        broker: Tells what the broker's connection is doing.
        recorder: Where the session is kept.
        ahead: How often it was worth to work ahead of the end of a turn.
        media_ns: Media heard.
        load: What waits in the whole process, or None where nobody asks.
        vitals: Tells how the session goes in numbers, or None where nobody counts.
        video: Tells how watching goes.
    """

    def __init__(self, load: LoadMonitor | None = None) -> None:
        self.load = load
        self.vitals: Callable[[], Vitals] | None = None
        self.paused = False
        self.broker: Callable[[], str] = str
        self.video: Callable[[], VideoState] = VideoState
        self.recorder = ""
        self.ahead = SpeculationCounts()
        self._source: Source | None = None
        self._path: list[Edge[Any]] = []
        self._sinks: list[Edge[Any]] = []
        self._ended = False
        self._peaks: dict[int, float] = {}
        self.media_ns = 0

    def follow(self, source: Source, path: Sequence[Edge[Any]], sinks: Sequence[Edge[Any]]) -> None:
        """Look at these edges from now on."""
        self._source, self._path, self._sinks = source, list(path), list(sinks)

    def hear(self, chunk: AudioChunk) -> None:
        """Note how loud a chunk is."""
        self.media_ns = chunk.end_ns
        if len(chunk.samples):
            peak = float(np.abs(chunk.samples).max())
            self._peaks[chunk.channel] = max(peak, self._peaks.get(chunk.channel, 0.0))

    def over(self, turn: Turn) -> None:
        """A turn is over, and waits to be judged."""
        if self.load:
            self.load.turn_decided(self, turn.number, turn.decided_at_ns)

    def published(self, turn: Turn) -> None:
        """What became of a turn is published."""
        if self.load:
            self.load.turn_published(self, turn.number)

    def may_tell_partials(self) -> bool:
        """Whether there is time for turns that are not over."""
        return self.load is None or self.load.may_publish_partials()

    def end(self) -> None:
        """The path has ended; that the edges close is as it should be."""
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
        """Look, and begin a new measurement of the levels."""
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
            gave_up=() if self._ended else tuple(edge.name for edge in self._sinks if edge.closed),
            vitals=self.vitals() if self.vitals else None,
        )


def decibels(peak: float) -> float:
    """A sample's size, 1 being full scale, in decibels; `SILENCE_DB` at least."""
    return max(SILENCE_DB, 20 * math.log10(peak)) if peak > 0 else SILENCE_DB
