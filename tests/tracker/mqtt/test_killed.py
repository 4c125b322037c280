"""Killed with -9, or without a broker: what subscribers get in the end is what was written, in order."""

import os
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest

from tests.support import TOP
from tests.support.brokers import Mosquitto, free_port, subscribed, until_open
from tests.support.command import tracker
from tracker.events import from_json
from tracker.mqtt.address import Address
from tracker.recordings.format import EVENTS

pytestmark = [pytest.mark.anyio, pytest.mark.broker]

PUBLISHING = """
import sys, anyio
from pathlib import Path
from tests.support.sessions import Script
from tracker.config import load
from tracker.app.mqtt import LiveSession, publishing
from tracker.recordings.recorder import Recorder

async def main():
    to, folder, turns, for_ever, once = sys.argv[1:]
    script = Script(f"s-{turns}").start()
    for second in range(int(turns)):
        script.says(second, second + 0.5, "Speaker 1", f"number {second}")
    config = load(None, sets=[to, "mqtt.node=desk", "mqtt.base_topic=et", "record.text=true"])
    recorder = Recorder(Path(folder), {}) if folder else None

    async def events():
        while once and not Path(once).exists():
            await anyio.sleep(0.02)
        for event in script.end(int(turns)):
            await anyio.sleep(0)
            if for_ever and event.type == "session.ended":
                await anyio.sleep_forever()
            yield event

    async with publishing(config, print, LiveSession(recorder)) as (sink,):
        await sink.run(events())

anyio.run(main)
"""


@pytest.fixture
async def mosquitto(tmp_path):
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(tmp_path / "broker")
    yield broker
    broker.stop()


def at(broker: Mosquitto) -> str:
    return f"mqtt.url=mqtt://127.0.0.1:{broker.port}"


def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONPATH": str(TOP)}


@asynccontextmanager
async def publisher(tmp_path: Path, to: str, folder: str, turns: int, *, for_ever: bool = False, once: str = ""):
    """A process that publishes so many turns, once a file is there; one that is to be killed does not end before."""
    command = [sys.executable, "-c", PUBLISHING, to, folder, str(turns), "yes" if for_ever else "", once]
    async with await anyio.open_process(command, stdout=None, stderr=None, env=environment(tmp_path)) as process:
        try:
            yield process
        finally:
            if for_ever:
                with suppress(ProcessLookupError):
                    process.kill()


async def written(log: Path, at_least: int) -> None:
    while not log.exists() or log.read_bytes().count(b"\n") < at_least:
        await anyio.sleep(0.02)


def log_of(tmp_path: Path, folder: str) -> Path | None:
    if folder:
        return Path(folder) / EVENTS
    return next(iter((tmp_path / "state").glob(f"emotion-tracker/outbox/*/session/{EVENTS}")), None)


def flush(tmp_path: Path, broker: Mosquitto):
    return tracker("sessions", "flush", "--mqtt", f"mqtt://127.0.0.1:{broker.port}", folder=tmp_path)


def unique(lines) -> list:
    """Events as a subscriber keeps them: repeats dropped by session and number."""
    events = [from_json(payload) for topic, _, payload in lines if topic.endswith(("/state", "/turn", "/late"))]
    return list({(event.session, event.seq): event for event in events}.values())


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("broker_is", ["there", "away"])
async def test_killed_and_flushed(recorded, broker_is, mosquitto, tmp_path):
    folder = str(tmp_path / "session") if recorded else ""
    await mosquitto.start()
    with anyio.fail_after(300):
        async with subscribed(mosquitto.address, "et/#", "-c", "-i", "steady") as subscriber:
            if broker_is == "away":
                mosquitto.stop()
            async with publisher(tmp_path, at(mosquitto), folder, 2000, for_ever=True) as process:
                while (log := log_of(tmp_path, folder)) is None or not log.exists():
                    await anyio.sleep(0.02)
                await written(log, 300)
                process.kill()
            kept = [from_json(line) for line in log.read_bytes().split(b"\n")[:-1]]
            assert 300 <= len(kept) < 4002
            if broker_is == "away":
                await mosquitto.start()
            done = await anyio.to_thread.run_sync(flush, tmp_path, mosquitto)
            assert done.code == 0, done.said
            assert "events of an earlier run were delivered" in done.said
            await subscriber.until(f'"seq":{kept[-1].seq},')
    assert unique(subscriber.lines) == kept
    late = [from_json(payload) for topic, _, payload in subscriber.lines if topic == "et/desk/late"]
    assert late
    assert kept[-1] in late
    assert list((tmp_path / "state").glob("emotion-tracker/outbox/*")) == []
    assert not folder or Path(folder).exists()  # what was recorded stays
    done = await anyio.to_thread.run_sync(flush, tmp_path, mosquitto)
    assert (done.code, "nothing is left" in done.said) == (0, True)


async def test_the_next_run_delivers_what_the_one_before_could_not(mosquitto, tmp_path):
    with anyio.fail_after(300):
        async with publisher(tmp_path, at(mosquitto), "", 20) as process:
            await process.wait()
        assert process.returncode == 0
        await mosquitto.start()
        listening = subscribed(mosquitto.address, "et/#")
        async with listening as subscriber, publisher(tmp_path, at(mosquitto), "", 3):
            await subscriber.until("offline")
    got = unique(subscriber.lines)
    assert [(event.session, event.seq) for event in got] == [
        *[("s-20", seq) for seq in range(42)],
        *[("s-3", seq) for seq in range(8)],
    ]
    assert {topic for topic, _, payload in subscriber.lines if '"s-20"' in payload} == {"et/desk/late"}
    assert list((tmp_path / "state").glob("emotion-tracker/outbox/*")) == []


async def test_flushing_without_the_broker_says_what_is_left(mosquitto, tmp_path):
    with anyio.fail_after(300):
        async with publisher(tmp_path, at(mosquitto), "", 20) as process:
            await process.wait()
        url = f"mqtt://127.0.0.1:{mosquitto.port}"
        arguments = ("sessions", "flush", "--mqtt", url, "--wait", "0.5")
        done = await anyio.to_thread.run_sync(lambda: tracker(*arguments, folder=tmp_path))
    assert done.code == 6
    assert "error: 42 messages are still to be delivered" in done.said


async def test_the_own_broker_is_killed_with_the_process_and_subscribers_get_the_rest_from_the_next(tmp_path):
    port = free_port()
    own = f"mqtt.port={port}"
    listening = tmp_path / "listening"
    with anyio.fail_after(300):
        async with publisher(tmp_path, own, "", 400, for_ever=True, once=str(listening)) as killed:
            await until_open(port)
            async with subscribed(Address("127.0.0.1", port), "et/#") as subscriber:
                listening.touch()
                await subscriber.until('"seq":300,')
                killed.kill()
                await killed.wait()
                written = [from_json(line) for line in log_of(tmp_path, "").read_bytes().split(b"\n")[:-1]]
                caught_up = tmp_path / "caught up"
                async with publisher(tmp_path, own, "", 3, once=str(caught_up)) as next_one:
                    topic = payload = ""
                    while topic != "et/desk/late" or from_json(payload).seq != written[-1].seq:
                        topic, _, payload = await subscriber.next()
                    caught_up.touch()
                    await subscriber.until('"type":"session.ended"')
                    await next_one.wait()
    # Every event at least once, in order; how much comes twice is bounded where time stands still: see test_arrivals.
    assert [(event.session, event.seq) for event in unique(subscriber.lines)] == [
        *((event.session, event.seq) for event in written),
        *(("s-3", seq) for seq in range(8)),
    ]
    assert list((tmp_path / "state").glob("emotion-tracker/outbox/*")) == []
