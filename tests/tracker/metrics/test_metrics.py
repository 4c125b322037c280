"""How a session goes, in numbers: counted from events and edges, scraped from a real port, sent to a broker."""

import http.client
import json
import socket
import urllib.request

import pytest
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families
from rich.cells import cell_len

from tests.support import fakes
from tests.support.fakes import FakeClock, FakeSource
from tests.support.sessions import conversation, given_out
from tracker import pipeline
from tracker.dashboard.layout import draw
from tracker.dashboard.screen import Choices, Screen
from tracker.dashboard.view import View, fold
from tracker.errors import ConfigError
from tracker.events import TurnEnded, TurnSkipped
from tracker.metrics.collect import MetricsCollector, to_json
from tracker.metrics.gauges import Gauges, Status
from tracker.metrics.model import SessionMetrics
from tracker.metrics.percentiles import Percentiles
from tracker.metrics.prometheus import serve_metrics
from tracker.mqtt.messages import metrics as message
from tracker.mqtt.payloads import PublishedMetrics
from tracker.mqtt.topics import Topics
from tracker.pipeline import Outlets
from tracker.runtime.control import Control
from tracker.runtime.overload import LoadMonitor
from tracker.sinks.palette import UNICODE

pytestmark = pytest.mark.anyio


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scrape(port: int) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}


async def counted() -> MetricsCollector:
    cpu = iter([10.0, 13.0, 13.0, 13.0])
    metrics = MetricsCollector(Gauges(), lambda: 2, memory_mb=lambda: 512.34, cpu_s=lambda: next(cpu))
    await metrics.run(given_out(conversation()))
    return metrics


async def test_events_are_counted():
    found = (await counted()).read()
    events = conversation()
    assert found.turns == sum(isinstance(event, TurnEnded) for event in events)
    assert found.skipped == sum(isinstance(event, TurnSkipped) for event in events)
    assert found.stages_ms["recognise"] == Percentiles(60, 60, 60)
    assert (found.fallbacks, found.cpu_s, found.rss_mb) == (2, 3.0, 512.3)


async def test_a_session_tells_what_waits_and_what_it_heard():
    load = LoadMonitor(FakeClock())
    gauges = Gauges(load)
    metrics = MetricsCollector(gauges)
    control, outlets = Control(), Outlets([metrics], None, lambda _: None, gauges)
    source = FakeSource("...#######" + "." * 10)
    last = await pipeline.run(source, lambda _: fakes.steps(), outlets, fakes.INFO, FakeClock(), control)
    found = metrics.read()
    assert found.turns == last.turns_ended == 1
    assert found.media_s == pytest.approx(0.4)
    assert set(found.queues) == {"chunks", "turns", "observed", "judged", "metrics"}
    assert load.waiting == 0


@pytest.mark.parametrize("fate", ["judged", "deaf", "silent", "failed"])
async def test_whatever_becomes_of_a_turn_it_waits_no_longer(fate):
    load = LoadMonitor(FakeClock())
    outlets = Outlets([], None, lambda _: None, Gauges(load))
    seen = []

    def watching(channels: int) -> pipeline.Steps:
        made = fakes.steps([fate])

        async def observe(turn):
            seen.append(load.waiting)
            return await made.observe(turn)

        return pipeline.Steps(made.segmenter, observe, made.recognise)

    source = FakeSource("...#######" + "." * 10)
    await pipeline.run(source, watching, outlets, fakes.INFO, FakeClock(), Control())
    assert seen == [1]
    assert load.waiting == 0


async def test_prometheus_scrapes_every_session():
    port = free_port()
    busy = SessionMetrics(turns=7, queues={"turns": 3}, dropped={"chunks": 4}, overload="no_partials", rss_mb=900.5)
    metrics = await counted()
    with serve_metrics(port, {"call": metrics.read, "busy": lambda: busy}):
        found = scrape(port)
    assert found["tracker_turns_total", (("source", "busy"),)] == 7
    assert found["tracker_turns_total", (("source", "call"),)] == 3
    assert found["tracker_rss_mb", (("source", "busy"),)] == 900.5
    assert found["tracker_queue_items", (("queue", "turns"), ("source", "busy"))] == 3
    assert found["tracker_dropped_total", (("queue", "chunks"), ("source", "busy"))] == 4
    assert found["tracker_overload", (("source", "busy"),)] == 2
    assert found["tracker_stage_milliseconds", (("of", "p95"), ("source", "call"), ("stage", "total"))] == 200
    with pytest.raises(OSError, match="refused"):
        scrape(port)  # gone with the session


def test_only_this_machine_is_answered():
    port = free_port()
    with serve_metrics(port, {}), socket.socket() as other:
        other.bind(("127.0.0.2", port))  # somebody else may have the port on any other address


def test_a_port_that_is_taken_is_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"^metrics.port: {port} cannot be listened on"), serve_metrics(port, {}):
            pass


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200), ("localhost:9464", 200), ("[::1]:1", 200), (None, 200),
        ("evil.example", 403), ("evil.example:9464", 403), ("localhost.evil.example", 403), ("[", 403), ("", 403),
    ],
)  # fmt: skip
def test_prometheus_is_answered_under_this_machines_names_only(host, status):
    port = free_port()
    with serve_metrics(port, {}):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.putrequest("GET", "/metrics", skip_host=True)
        if host is not None:
            connection.putheader("Host", host)
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, b"tracker_turns" in answer.read()) == (status, status == 200)
        connection.close()


async def test_the_broker_keeps_the_latest():
    values = PublishedMetrics(**dict((await counted()).read()), session="s-1", messages_delivered=9)
    sent = message(Topics("et", "desk"), values)
    assert (sent.topic, sent.retain, sent.qos) == ("et/desk/metrics", True, 1)
    told = json.loads(sent.payload)
    Draft202012Validator(PublishedMetrics.model_json_schema(by_alias=True)).validate(told)
    assert (told["turns"], told["messages_delivered"], told["fallbacks"]) == (3, 9, 2)
    assert told["stages_ms"]["total"] == {"p50": 200.0, "p95": 200.0, "max": 200.0}


def test_one_line_of_json():
    told = json.loads(to_json("s-1", SessionMetrics(stages_ms={"total": Percentiles(1, 2, 3)})))
    assert (told["type"], told["session"], told["stages_ms"]) == (
        "metrics",
        "s-1",
        {"total": {"p50": 1, "p95": 2, "max": 3}},
    )


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 60)])
def test_the_dashboard_shows_what_is_left_out_and_what_it_costs(width, height):
    view = View()
    for event in conversation()[:-1]:
        view = fold(view, event)
    busy = SessionMetrics(
        real_time_factor=0.31,
        rss_mb=1034.2,
        fallbacks=3,
        speculation_hits=9,
        speculation_wasted=2,
        overload="no_partials",
    )
    lines = draw(Screen(view, Status(metrics=busy), Choices(machine=True)), width, height, UNICODE)
    text = "\n".join(line.plain for line in lines)
    assert {cell_len(line.plain) for line in lines} == {width}
    assert "no speculation, no partials" in text
    if width > 80:
        assert "0.31 of a core, 1034 MB" in text
        assert "repeats   3 turns decoded twice" in text
        assert "2 of 11 speculations" in text
    calm = "\n".join(
        line.plain for line in draw(Screen(view, Status(metrics=SessionMetrics())), width, height, UNICODE)
    )
    assert "speculations" not in calm
    assert "no speculation" not in calm
