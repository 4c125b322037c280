"""Hours of media as fast as possible: whether memory grows, the tracker falls behind, or speakers multiply."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, final

import anyio

from tracker import pipeline
from tracker.api import load_models
from tracker.app import models as app_models
from tracker.bench.bench import SILENCE, source_maker
from tracker.bench.measure import info
from tracker.bench.sources import LoopedSource, SilentSource, TappedSource
from tracker.config import Config
from tracker.events import Event, TurnEnded, TurnSkipped
from tracker.metrics.gauges import Gauges
from tracker.pipeline import Outlets, Steps
from tracker.runtime.clock import NS_PER_S, Clock, SystemClock
from tracker.runtime.control import Control
from tracker.runtime.memory import rss_mb
from tracker.runtime.overload import LoadMonitor
from tracker.sources.media import AudioChunk, Source

MAY_GROW = 3.0
"""Percent by which memory may grow after `SETTLED_S`."""
SETTLED_S = 600.0
_EVERY_S = 60.0
_AROUND = 3  # samples that a figure is the median of


@dataclass(frozen=True, slots=True)
class SoakSample:
    """The state after so much media.

    Attributes:
        media_s: Media processed, seconds.
        rss_mb: Resident memory.
        lag_ms: The median, since the sample before, from a turn's end being decided to its event; None without turns.
        speakers: Speakers distinguished so far.
        turns: Turns published so far.
    """

    media_s: float
    rss_mb: float
    lag_ms: float | None
    speakers: int
    turns: int


def growth_percent(samples: Sequence[SoakSample]) -> float | None:
    """By how much memory has grown from the first ten minutes of media to the end; None for shorter media.

    Each end is the median of three samples, a minute apart, so that a single allocation does not count.
    """
    settled = [one.rss_mb for one in samples if one.media_s >= SETTLED_S]
    if len(settled) < 2 * _AROUND:
        return None
    first, last = median(settled[:_AROUND]), median(settled[-_AROUND:])
    return 100 * (last - first) / first


def lag_ratio(samples: Sequence[SoakSample]) -> float | None:
    """How many times longer turns took in the last quarter than in the first; None without turns in both."""
    quarter = max(1, len(samples) // 4)
    first = [one.lag_ms for one in samples[:quarter] if one.lag_ms is not None]
    last = [one.lag_ms for one in samples[-quarter:] if one.lag_ms is not None]
    return median(last) / median(first) if first and last and median(first) > 0 else None


@final
class SoakSink:
    """A sink that counts events and keeps none, so that only the tracker can grow.

    Args:
        memory_mb: Measures the resident memory.
    """

    name = "soak"

    def __init__(self, memory_mb: Callable[[], float] = rss_mb) -> None:
        self._memory_mb = memory_mb
        self._speakers: set[str] = set()
        self._lags: list[float] = []
        self._turns = 0
        self.samples: list[SoakSample] = []

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Count every event."""
        async for event in events:
            self._turns += isinstance(event, TurnEnded | TurnSkipped)
            if isinstance(event, TurnEnded):
                self._speakers.add(event.speaker)
                self._lags.append(event.latency_ms.total)

    def note(self, chunk: AudioChunk) -> None:
        """Take a sample after each minute of media."""
        media_s = chunk.end_ns / NS_PER_S
        if media_s >= (len(self.samples) + 1) * _EVERY_S:
            self.sample(media_s)

    def sample(self, media_s: float) -> None:
        """Take a sample now."""
        lag, self._lags = median(self._lags) if self._lags else None, []
        self.samples.append(SoakSample(media_s, self._memory_mb(), lag, len(self._speakers), self._turns))


async def listen(source: Source, steps: Callable[[int], Steps], clock: Clock, sink: SoakSink) -> None:
    """BenchRun one session under watch, to its end.

    Raises:
        SourceError: The source cannot be read.
    """
    load = LoadMonitor(clock)
    outlets = Outlets([sink], None, lambda _: None, Gauges(load))
    last = await pipeline.run(TappedSource(source, sink.note), steps, outlets, info(), clock, Control())
    sink.sample(last.media_ns / NS_PER_S)


def soak(arguments: Sequence[str], hours: float, config: Config, report: Callable[[str], None]) -> dict[str, Any]:
    """Loop the sources for so many hours of media.

    Args:
        arguments: Files, or ``silence``.
        hours: Of media.
        config: The settings.
        report: Says one sentence to the user.

    Raises:
        TrackerError: A source or a model is not available, or the session failed.
    """
    seconds = hours * 3600
    makers = [source_maker(argument, config) for argument in arguments]
    source: Source = SilentSource(seconds) if list(arguments) == [SILENCE] else LoopedSource(makers, seconds)
    models, clock, sink = load_models(config), SystemClock(), SoakSink()
    report(f"{hours:g} hours of media, as fast as possible")
    begun_ns = clock.now_ns()
    anyio.run(listen, source, lambda channels: app_models.steps(models, config, channels, clock), clock, sink)
    return summary(sink.samples, (clock.now_ns() - begun_ns) / NS_PER_S)


def summary(samples: Sequence[SoakSample], wall_s: float) -> dict[str, Any]:
    """The results of a soak.

    Args:
        samples: In the order of time; at least one.
        wall_s: Seconds that it took.
    """
    last = samples[-1]
    settled = next((one for one in samples if one.media_s >= SETTLED_S), None)
    growth, lag = growth_percent(samples), lag_ratio(samples)
    return {
        "media_hours": round(last.media_s / 3600, 3),
        "wall_s": round(wall_s, 1),
        "real_time_factor": round(wall_s / last.media_s, 4) if last.media_s else None,
        "turns": last.turns,
        "rss_settled_mb": settled and round(settled.rss_mb, 1),
        "rss_mb": round(last.rss_mb, 1),
        "growth_percent": None if growth is None else round(growth, 2),
        "lag_last_to_first_quarter": lag and round(lag, 2),
        "speakers_settled": settled and settled.speakers,
        "speakers": last.speakers,
    }
