"""Runs sessions through the pipeline and measures time, processor time, and when each event was published."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import final

import anyio

from adapters.contract import MELD_LABELS
from tracker import pipeline
from tracker.app.session import SOFTWARE, stamp
from tracker.bench.results import Measurement, TimedEvent, combined, since_speech_ms
from tracker.bench.sources import MediaOrigin, TappedSource
from tracker.events import Event, SessionEnded, TurnEnded
from tracker.metrics.gauges import Gauges
from tracker.observe.records import FailedTurn
from tracker.pipeline import Outlets, SessionInfo, Steps
from tracker.publish import SessionHeader
from tracker.runtime.clock import NS_PER_MS, NS_PER_S, Clock
from tracker.runtime.control import Control
from tracker.runtime.overload import LoadMonitor
from tracker.sources.media import Source
from tracker.speculate import SpeculationCounts
from tracker.turns.turn import Turn

StepsFor = Callable[[int], Steps]


@final
class EventTimes:
    """A sink that records when each turn was judged.

    Args:
        clock: The monotonic clock.
    """

    name = "bench"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.turns: list[TimedEvent] = []

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Record every event."""
        async for event in events:
            if isinstance(event, TurnEnded):
                self.turns.append(TimedEvent(event, self._clock.now_ns()))


async def measure(
    source: Source, steps: StepsFor, clock: Clock, hangover_ms: int, load: LoadMonitor | None = None
) -> Measurement:
    """BenchRun one session to its end.

    Args:
        source: Not yet open; paced or not.
        steps: The steps of this session.
        clock: The monotonic clock.
        hangover_ms: The silence kept at the end of a turn.
        load: Of the process; None where this is the only session.

    Raises:
        SourceError: The source cannot be read.
    """
    origin, arrivals = MediaOrigin(clock), EventTimes(clock)
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    load = load or LoadMonitor(clock)
    gauges = Gauges(load)
    outlets, control = Outlets([arrivals], None, _say_nothing, gauges), Control()
    last = await pipeline.run(TappedSource(source, origin), steps, outlets, info(), clock, control)
    wall_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
    since = [since_speech_ms(one, origin.ns or 0, hangover_ms * NS_PER_MS) for one in arrivals.turns]
    return _measurement(last, wall_s, cpu_s, arrivals.turns, [ms for ms in since if ms is not None], gauges.speculation)


async def measure_all(
    sources: Sequence[Source], steps: StepsFor, clock: Clock, hangover_ms: int, stagger_s: float | None = None
) -> Measurement:
    """BenchRun sessions one after the other, or all at once.

    Args:
        sources: One for each session.
        steps: The steps of each session.
        clock: The monotonic clock.
        hangover_ms: The silence kept at the end of a turn.
        stagger_s: All at once, each begun so long after the one before; None: one after the other.

    Returns:
        All of them together. All at once, the processor time is the process's, counted once.
    """
    passes: list[Measurement] = []
    load = LoadMonitor(clock)

    async def one(source: Source, wait_s: float) -> None:
        await anyio.sleep(wait_s)
        passes.append(await measure(source, steps, clock, hangover_ms, load))

    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    if stagger_s is None:
        for source in sources:
            await one(source, 0.0)
    else:
        async with anyio.create_task_group() as group:
            for number, source in enumerate(sources):
                group.start_soon(one, source, number * stagger_s, name=f"session {number}")
    wall_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
    return replace(combined(passes), wall_s=wall_s, cpu_s=cpu_s)


def only_segmenting(steps: StepsFor) -> StepsFor:
    """The same steps, with turns segmented and not observed."""

    async def skip(turn: Turn) -> FailedTurn:
        return FailedTurn(turn, "not observed")

    observe: Callable[[Turn], Awaitable[FailedTurn]] = skip
    return lambda channels: replace(steps(channels), observe=observe, speculative=None)


def _measurement(
    last: SessionEnded,
    wall_s: float,
    cpu_s: float,
    turns: Sequence[TimedEvent],
    since: Sequence[float],
    speculation: SpeculationCounts,
) -> Measurement:
    return Measurement(
        media_s=last.media_ns / NS_PER_S,
        wall_s=wall_s,
        cpu_s=cpu_s,
        started=last.turns_started,
        judged=last.turns_ended,
        skipped=last.turns_skipped,
        dropped=sum(last.dropped.values()),
        endpoint_ms=tuple(one.event.latency_ms.total for one in turns),
        speech_end_ms=tuple(since),
        speculation=speculation,
        speakers=len({one.event.speaker for one in turns}),
    )


def header(source: Source) -> SessionHeader:
    """The header of a session that is not kept."""
    return SessionHeader(source.name, source.live, source.channels, MELD_LABELS, {}, SOFTWARE)


def info() -> SessionInfo:
    """What is known of such a session beforehand."""
    return SessionInfo(header, stamp)


def _say_nothing(sentence: str) -> None:
    """Ignore the sentence."""
