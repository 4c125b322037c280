"""Collects a session's metrics: where the time goes, what waits, what was dropped or left out, what it costs.

They depend on the machine, so none of them is in the session's events: the dashboard shows them, MQTT publishes them
as ``metrics``, Prometheus scrapes them, and ``--json`` prints them as one line on standard error.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import AsyncIterable, Callable
from typing import final

from tracker.events import Event, Latency, TurnEnded, TurnSkipped
from tracker.metrics.gauges import Gauges
from tracker.metrics.model import SessionMetrics
from tracker.metrics.stages import STAGES, stage_percentiles
from tracker.runtime.clock import NS_PER_S
from tracker.runtime.memory import rss_mb

_MAX_LATENCIES = 1000  # turns


@final
class MetricsCollector:
    """A sink that counts turns, and reads the metrics whenever it is asked.

    Args:
        gauges: Of the session.
        fallbacks: How many turns were decoded twice.
        memory_mb: Resident memory.
        cpu_s: Processor seconds of the process.
    """

    name = "metrics"

    def __init__(
        self,
        gauges: Gauges,
        fallbacks: Callable[[], int] = lambda: 0,
        memory_mb: Callable[[], float] = rss_mb,
        cpu_s: Callable[[], float] = time.process_time,
    ) -> None:
        self._gauges = gauges
        self._fallbacks = fallbacks
        self._memory_mb = memory_mb
        self._cpu_s = cpu_s
        self._begun_cpu_s = cpu_s()
        self._turns = self._skipped = 0
        self._latencies: deque[Latency] = deque(maxlen=_MAX_LATENCIES)

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Count every event."""
        async for event in events:
            self._skipped += isinstance(event, TurnSkipped)
            if isinstance(event, TurnEnded):
                self._turns += 1
                self._latencies.append(event.latency_ms)

    def read(self) -> SessionMetrics:
        """The metrics as of now; may be called from any thread."""
        gauges, latencies = self._gauges, list(self._latencies)
        media_s, cpu_s = gauges.media_ns / NS_PER_S, self._cpu_s() - self._begun_cpu_s
        stages = {name: stage_percentiles(latencies, name) for name in STAGES}
        queues = gauges.queues()
        dropped = {queue.name: queue.dropped for queue in queues if queue.dropped}
        if gauges.lost_samples:
            dropped["samples"] = gauges.lost_samples
        return SessionMetrics(
            turns=self._turns,
            skipped=self._skipped,
            media_s=round(media_s, 2),
            stages_ms={name: found for name, found in stages.items() if found},
            queues={queue.name: queue.depth for queue in queues},
            dropped=dropped,
            messages_refused=gauges.messages_refused(),
            fallbacks=self._fallbacks(),
            speculation_hits=gauges.speculation.hits,
            speculation_wasted=gauges.speculation.wasted,
            speculation_wasted_ms=round(gauges.speculation.wasted_ms, 1),
            speculation_left_out=gauges.speculation.left_out,
            overload=gauges.load.update() if gauges.load else "normal",
            waiting_turns=gauges.load.waiting if gauges.load else 0,
            real_time_factor=round(cpu_s / media_s, 4) if media_s else 0.0,
            cpu_s=round(cpu_s, 2),
            rss_mb=round(self._memory_mb(), 1),
        )


def to_json(session: str, metrics: SessionMetrics) -> str:
    """A session's metrics as one line of JSON."""
    return json.dumps({"type": "metrics", "session": session, **metrics.model_dump()})
