"""How a session goes, in numbers: counted from events and edges, scraped from a real port, sent to a broker."""

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
from tracker.dashboard.palette import UNICODE
from tracker.dashboard.screen import Screen
from tracker.dashboard.view import View, fold
from tracker.errors import ConfigError
from tracker.events import TurnEnded, TurnSkipped
from tracker.metrics.collect import Metrics, to_json
from tracker.metrics.gauges import Gauges, Status
from tracker.metrics.prometheus import exposed
from tracker.metrics.spread import Spread
from tracker.metrics.vitals import Vitals
from tracker.mqtt.messages import metrics as message
from tracker.mqtt.payloads import Counters
from tracker.mqtt.topics import Topics
from tracker.pipeline import Outlets
from tracker.runtime.control import Control
from tracker.runtime.overload import LoadMonitor

pytestmark = pytest.mark.anyio


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scrape(port: int) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}


async def counted() -> Metrics:
    cpu = iter([10.0, 13.0, 13.0, 13.0])
    metrics = Metrics(Gauges(), lambda: 2, memory_mb=lambda: 512.34, cpu_s=lambda: next(cpu))
    await metrics.run(given_out(conversation()))
    return metrics


async def test_events_are_counted():
    vitals = (await counted()).read()
    events = conversation()
    assert vitals.turns == sum(isinstance(event, TurnEnded) for event in events)
    assert vitals.skipped == sum(isinstance(event, TurnSkipped) for event in events)
    assert vitals.stages_ms["recognise"] == Spread(60, 60, 60)
    assert (vitals.fallbacks, vitals.cpu_s, vitals.rss_mb) == (2, 3.0, 512.3)


async def test_a_session_tells_what_waits_and_what_it_heard():
    load = LoadMonitor(FakeClock())
    gauges = Gauges(load)
    metrics = Metrics(gauges)
    control, outlets = Control(), Outlets([metrics], None, lambda _: None, gauges)
    source = FakeSource("...#######" + "." * 10)
    last = await pipeline.run(source, lambda _: fakes.steps(), outlets, fakes.header, fakes.stamp, FakeClock(), control)
    vitals = metrics.read()
    assert vitals.turns == last.turns_ended == 1
    assert vitals.media_s == pytest.approx(0.4)
    assert set(vitals.queues) == {"chunks", "turns", "observed", "judged", "metrics"}
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
    await pipeline.run(source, watching, outlets, fakes.header, fakes.stamp, FakeClock(), Control())
    assert seen == [1]
    assert load.waiting == 0


async def test_prometheus_scrapes_every_session():
    port = free_port()
    busy = Vitals(turns=7, queues={"turns": 3}, dropped={"chunks": 4}, overload="no_partials", rss_mb=900.5)
    metrics = await counted()
    with exposed(port, {"call": metrics.read, "busy": lambda: busy}):
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
    with exposed(port, {}), socket.socket() as other:
        other.bind(("127.0.0.2", port))  # somebody else may have the port on any other address


def test_a_port_that_is_taken_is_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"^metrics.port: {port} cannot be listened on"), exposed(port, {}):
            pass


async def test_the_broker_keeps_the_latest():
    sent = message(Topics("et", "desk"), Counters(session="s-1", turns=3, delivered=9), (await counted()).read())
    assert (sent.topic, sent.retain, sent.qos) == ("et/desk/metrics", True, 0)
    told = json.loads(sent.payload)
    Draft202012Validator(Counters.model_json_schema(by_alias=True)).validate(told)
    assert (told["turns"], told["delivered"], told["fallbacks"]) == (3, 9, 2)
    assert told["stages_ms"]["total"] == {"p50": 200.0, "p95": 200.0, "max": 200.0}


def test_one_line_of_json():
    told = json.loads(to_json("s-1", Vitals(stages_ms={"total": Spread(1, 2, 3)})))
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
    busy = Vitals(
        real_time_factor=0.31, rss_mb=1034.2, fallbacks=3, ahead_hits=9, ahead_wasted=2, overload="no_partials"
    )
    lines = draw(Screen(view, Status(vitals=busy)), width, height, UNICODE)
    text = "\n".join(line.plain for line in lines)
    assert {cell_len(line.plain) for line in lines} == {width}
    assert "no work ahead, no partials" in text
    if width > 80:
        assert "0.31 of a core, 1034 MB" in text
        assert "3 turns decoded twice" in text
        assert "9 turns, 2 more for nothing" in text
    calm = "\n".join(line.plain for line in draw(Screen(view, Status(vitals=Vitals())), width, height, UNICODE))
    assert "for nothing" not in calm
    assert "no work ahead" not in calm
