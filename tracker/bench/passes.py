"""One session through the pipeline, measured: time, processor time, and when each event came."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import final

import anyio

from adapters.contract import MELD_LABELS
from tracker import pipeline
from tracker.app.session import SOFTWARE, stamp
from tracker.bench.figures import Arrived, Pass, joined, since_speech_ms
from tracker.bench.sources import Noted, Origin
from tracker.events import Event, SessionEnded, TurnEnded
from tracker.metrics.gauges import Gauges
from tracker.observe.records import FailedTurn
from tracker.pipeline import Outlets, Steps
from tracker.publish import SessionHeader
from tracker.runtime.clock import NS_PER_MS, NS_PER_S, Clock
from tracker.runtime.control import Control
from tracker.runtime.overload import LoadMonitor
from tracker.sources.media import Source
from tracker.speculate import SpeculationCounts
from tracker.turns.turn import Turn

StepsFor = Callable[[int], Steps]


@final
class Arrivals:
    """A sink that notes when each judgement came.

    Args:
        clock: The monotonic clock.
    """

    name = "bench"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.turns: list[Arrived] = []

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Note every event."""
        async for event in events:
            if isinstance(event, TurnEnded):
                self.turns.append(Arrived(event, self._clock.now_ns()))


async def measure(
    source: Source, steps: StepsFor, clock: Clock, hangover_ms: int, load: LoadMonitor | None = None
) -> Pass:
    """Run one session to its end.

    Args:
        source: Not yet open; paced or not.
        steps: The steps of this session.
        clock: The monotonic clock.
        hangover_ms: What a turn keeps after its last speech.
        load: Of the process; None where this is the only session.

    Raises:
        SourceError: The source cannot be read.
    """
    origin, arrivals = Origin(clock), Arrivals(clock)
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    load = load or LoadMonitor(clock)
    gauges = Gauges(load)
    outlets, control = Outlets([arrivals], None, _say_nothing, gauges), Control()
    last = await pipeline.run(
        Noted(source, origin), steps, outlets, header, stamp, clock, control, may_speculate=load.may_speculate
    )
    wall_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
    since = [since_speech_ms(one, origin.ns or 0, hangover_ms * NS_PER_MS) for one in arrivals.turns]
    return _pass(last, wall_s, cpu_s, arrivals.turns, [ms for ms in since if ms is not None], gauges.ahead)


async def measure_all(
    sources: Sequence[Source], steps: StepsFor, clock: Clock, hangover_ms: int, stagger_s: float | None = None
) -> Pass:
    """Run sessions one after the other, or all at once.

    Args:
        sources: One for each session.
        steps: The steps of each session.
        clock: The monotonic clock.
        hangover_ms: What a turn keeps after its last speech.
        stagger_s: All at once, each begun so long after the one before; None: one after the other.

    Returns:
        All of them together. All at once, the processor time is the process's, counted once.
    """
    passes: list[Pass] = []
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
    return replace(joined(passes), wall_s=wall_s, cpu_s=cpu_s)


def only_cutting(steps: StepsFor) -> StepsFor:
    """The same steps, but nobody listens to the turns that are cut."""

    async def unheard(turn: Turn) -> FailedTurn:
        return FailedTurn(turn, "not listened to")

    observe: Callable[[Turn], Awaitable[FailedTurn]] = unheard
    return lambda channels: replace(steps(channels), observe=observe, speculative=None)


def _pass(
    last: SessionEnded,
    wall_s: float,
    cpu_s: float,
    turns: Sequence[Arrived],
    since: Sequence[float],
    ahead: SpeculationCounts,
) -> Pass:
    return Pass(
        media_s=last.media_ns / NS_PER_S,
        wall_s=wall_s,
        cpu_s=cpu_s,
        started=last.turns_started,
        judged=last.turns_ended,
        skipped=last.turns_skipped,
        dropped=sum(last.dropped.values()),
        endpoint_ms=tuple(one.event.latency_ms.total for one in turns),
        speech_end_ms=tuple(since),
        ahead=ahead,
        speakers=len({one.event.speaker for one in turns}),
    )


def header(source: Source) -> SessionHeader:
    """Describes a session that nobody keeps."""
    return SessionHeader(source.name, source.live, source.channels, MELD_LABELS.labels, {}, SOFTWARE)


def _say_nothing(sentence: str) -> None:
    """A measurement has nobody to talk to."""
