"""The metrics of the sessions of this process for Prometheus, on a loopback port that the settings name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, fields
from typing import TYPE_CHECKING, final
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, make_wsgi_app, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tracker.errors import ConfigError
from tracker.metrics.model import Series, SessionMetrics
from tracker.metrics.percentiles import Percentiles
from tracker.runtime.overload import LEVELS

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

HOST = "127.0.0.1"
_OURS = {HOST, "localhost", "::1"}
Sources = Mapping[str, Callable[[], SessionMetrics]]
"""Reads the metrics of each session, by the name of its source."""


@final
class _SessionCollector(Collector):
    """Reads every session's metrics whenever Prometheus scrapes."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Every metric, labelled with its source's name."""
        now = {source: read() for source, read in self._sources.items()}
        for name, field in SessionMetrics.model_fields.items():
            series = next(one for one in field.metadata if isinstance(one, Series))
            family = CounterMetricFamily if series.kind == "counter" else GaugeMetricFamily
            made = family(f"tracker_{series.name or name}", field.description or "", labels=["source", *series.labels])
            for source, metrics in now.items():
                for labels, value in _samples(getattr(metrics, name)):
                    made.add_metric([source, *labels], value)
            yield made


def _samples(value: object) -> Iterator[tuple[list[str], float]]:
    """A metric's values, each with the values of its labels."""
    match value:
        case Mapping():
            for key, inner in value.items():
                yield from (([key, *labels], number) for labels, number in _samples(inner))
        case Percentiles():
            yield from (([field.name], number) for field, number in zip(fields(value), astuple(value), strict=True))
        case str():
            yield [], LEVELS.index(value)
        case int() | float():
            yield [], float(value)


def _host_of(header: str) -> str | None:
    """The host in a ``Host`` header, without its port; None if it is malformed."""
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None


def _for_this_machine(app: WSGIApplication) -> WSGIApplication:
    """Refuse requests for another host: a page in a browser could send them here under its own name."""

    def checked(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if _host_of(environ.get("HTTP_HOST", HOST)) in _OURS:
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"ask for 127.0.0.1 or localhost\n"]

    return checked


@contextmanager
def serve_metrics(port: int, sources: Sources) -> Iterator[None]:
    """Answer Prometheus at http://127.0.0.1:PORT/metrics meanwhile.

    Args:
        port: TCP port.
        sources: Read from another thread.

    Raises:
        ConfigError: The port cannot be listened on.
    """
    registry = CollectorRegistry()
    registry.register(_SessionCollector(sources))
    try:
        server, thread = start_http_server(port, addr=HOST, registry=registry)
    except OSError as error:
        raise ConfigError(f"metrics.port: {port} cannot be listened on ({error.strerror}); name another one") from error
    server.set_app(_for_this_machine(make_wsgi_app(registry)))
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
