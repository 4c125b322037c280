"""The metrics of the sessions of this process for Prometheus, on a loopback port that has to be asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tracker.errors import ConfigError
from tracker.metrics.vitals import Vitals
from tracker.runtime.overload import LEVELS

HOST = "127.0.0.1"
Looks = Mapping[str, Callable[[], Vitals]]

_COUNTERS = {
    "turns": "Judged turns",
    "skipped": "Skipped turns",
    "fallbacks": "Turns decoded again from the full window",
    "ahead_hits": "Turns whose work was done ahead of their end",
    "ahead_wasted": "Turns on which work ahead was for nothing",
    "ahead_left_out": "Pauses at which there was no time for work ahead",
    "cpu_s": "Processor seconds of the process since the session began",
}
_GAUGES = {
    "media_s": "Seconds of media heard",
    "waiting_turns": "Turns of the process that are over and not yet published",
    "real_time_factor": "Processor seconds of the process per second of media",
    "rss_mb": "Resident memory of the process, MB",
}
_UNITS = {"cpu_s": "cpu_seconds", "media_s": "media_seconds"}


@final
class _Sessions(Collector):
    """Looks at every session whenever somebody scrapes."""

    def __init__(self, looks: Looks) -> None:
        self._looks = looks

    def collect(self) -> Iterator[Metric]:
        """Every figure, labelled with its session's name."""
        vitals = {name: look() for name, look in self._looks.items()}
        for key, about in _COUNTERS.items():
            counter = CounterMetricFamily(f"tracker_{_UNITS.get(key, key)}", about, labels=["source"])
            for name, one in vitals.items():
                counter.add_metric([name], float(getattr(one, key)))
            yield counter
        for key, about in _GAUGES.items():
            gauge = GaugeMetricFamily(f"tracker_{_UNITS.get(key, key)}", about, labels=["source"])
            for name, one in vitals.items():
                gauge.add_metric([name], float(getattr(one, key)))
            yield gauge
        stages = GaugeMetricFamily(
            "tracker_stage_milliseconds", "Time by stage over the last 1000 turns", labels=["source", "stage", "of"]
        )
        queues = GaugeMetricFamily("tracker_queue_items", "Items waiting", labels=["source", "queue"])
        dropped = CounterMetricFamily("tracker_dropped", "Items dropped", labels=["source", "queue"])
        overload = GaugeMetricFamily("tracker_overload", f"0 to 3: {', '.join(LEVELS)}", labels=["source"])
        for name, one in vitals.items():
            for stage, found in one.stages_ms.items():
                for of, value in (("p50", found.p50), ("p95", found.p95), ("max", found.max)):
                    stages.add_metric([name, stage, of], value)
            for queue, depth in one.queues.items():
                queues.add_metric([name, queue], depth)
            for queue, count in one.dropped.items():
                dropped.add_metric([name, queue], count)
            overload.add_metric([name], LEVELS.index(one.overload))
        yield from (stages, queues, dropped, overload)


@contextmanager
def exposed(port: int, looks: Looks) -> Iterator[None]:
    """Answer Prometheus at http://127.0.0.1:PORT/metrics meanwhile.

    Args:
        port: TCP port; 0: do not.
        looks: How to look at each session, by name; asked from another thread.

    Raises:
        ConfigError: The port is not to be had.
    """
    if port == 0:
        yield
        return
    registry = CollectorRegistry()
    registry.register(_Sessions(looks))
    try:
        server, thread = start_http_server(port, addr=HOST, registry=registry)
    except OSError as error:
        raise ConfigError(f"metrics.port: {port} cannot be listened on ({error.strerror}); name another one") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
