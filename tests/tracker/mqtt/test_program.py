"""The whole program and a broker: steered over MQTT, and heard by the subscriber of the documentation."""

import json
import os
import re
import signal
import subprocess
import sys

import aiomqtt
import anyio
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.support import TOP
from tests.support.brokers import Mosquitto, subscribed
from tests.support.command import Tracker, telephone, tracker
from tracker.events import ListeningPaused, ListeningResumed, MomentMarked, SpeakerRenamed, TurnEnded, from_json

pytestmark = [pytest.mark.anyio, pytest.mark.broker, pytest.mark.models]


@pytest.fixture
async def mosquitto(tmp_path):
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(tmp_path / "broker")
    await broker.start()
    yield broker
    broker.stop()


def steered(mosquitto, tmp_path, *more: str) -> Tracker:
    return Tracker(
        "run", str(telephone()), "--json", "--mqtt", f"mqtt://127.0.0.1:{mosquitto.port}", "--record", "kept",
        "--set", "record.text=true",
        "--set", "mqtt.node=desk", *more, folder=tmp_path,
    )  # fmt: skip


async def test_paused_resumed_marked_and_stopped_over_mqtt(mosquitto, tmp_path):
    program = steered(mosquitto, tmp_path, "--set", "mqtt.commands=true")
    with anyio.fail_after(120):
        await anyio.to_thread.run_sync(program.until, "turn.ended")
        async with aiomqtt.Client("127.0.0.1", mosquitto.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
            await client.subscribe("me/#", qos=1)
            asking = Properties(PacketTypes.PUBLISH)
            asking.ResponseTopic = "me/#"  # a mistake that mosquitto passes on
            await client.publish("emotion-tracker/desk/cmd/mark", "where to?", 1, properties=asking)
            for number, (name, note) in enumerate(
                [("pause", ""), ("mark", "so quiet"), ("resume", ""), ("mark", "\udcff".encode("utf-8", "replace")),
                 ("rename", '{"speaker": "Speaker 1", "name": "Ada"}'), ("stop", "")]
            ):  # fmt: skip
                asking = Properties(PacketTypes.PUBLISH)
                asking.ResponseTopic, asking.CorrelationData = "me/reply", bytes([number])
                await client.publish(f"emotion-tracker/desk/cmd/{name}", note, 1, properties=asking)
                answer = await anext(aiter(client.messages))
                assert answer.properties.CorrelationData == bytes([number])
                assert json.loads(answer.payload) == {"command": name, "ok": True, "error": None}
        done = await anyio.to_thread.run_sync(program.finish)
    assert (done.code, done.last.outcome) == (0, "stopped")
    kinds = [type(event) for event in done.events]
    assert kinds.index(ListeningPaused) < kinds.index(ListeningResumed)
    assert [event.note for event in done.events if isinstance(event, MomentMarked)] == ["where to?", "so quiet", "?"]
    assert [(event.speaker, event.name) for event in done.events if isinstance(event, SpeakerRenamed)] == [
        ("Speaker 1", "Ada")
    ]


async def test_commands_are_not_obeyed_where_they_are_not_allowed(mosquitto, tmp_path):
    program = steered(mosquitto, tmp_path, "--pace", "fast")
    with anyio.fail_after(120):
        await anyio.to_thread.run_sync(program.until, "turn.started")
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
            await client.publish("emotion-tracker/desk/cmd/stop", "", 1)
        done = await anyio.to_thread.run_sync(program.finish)
    assert done.last.outcome == "completed"


async def test_what_the_broker_refuses_is_told_counted_and_delivered_once_it_accepts_it(tmp_path):
    (tmp_path / "broker").mkdir()
    allowed = tmp_path / "broker" / "acl"
    allowed.write_text("topic write +/+/status\ntopic write +/+/state\ntopic read #\n")
    broker = Mosquitto(tmp_path / "broker", settings=f"allow_anonymous true\nacl_file {allowed}")
    await broker.start()
    url = f"mqtt://127.0.0.1:{broker.port}"

    def flush():
        return tracker("sessions", "flush", "--mqtt", url, folder=tmp_path)

    try:
        with anyio.fail_after(170):
            run = ("run", str(telephone()), "--json", "--mqtt", url, "--pace", "fast", "--set", "mqtt.node=desk")
            done = await anyio.to_thread.run_sync(lambda: tracker(*run, folder=tmp_path))
            refused = [event.seq for event in done.events[1:-1]]
            assert done.said.count("refuses emotion-tracker/desk/turn (Not authorized, event 1)") == 1
            assert f"kept for the next run or tracker sessions flush: events 1-{refused[-1]}" in done.said
            assert done.metrics[-1]["messages_refused"] > len(refused)
            again = await anyio.to_thread.run_sync(flush)
            assert (again.code, f"{len(refused)} messages are still to be delivered" in again.said) == (6, True)
            allowed.write_text("topic readwrite #\n")
            os.kill(broker.pid, signal.SIGHUP)
            async with subscribed(broker.address, "emotion-tracker/desk/late") as subscriber:
                assert (await anyio.to_thread.run_sync(flush)).code == 0
                while len(subscriber.lines) < len(refused):
                    await subscriber.next()
    finally:
        broker.stop()
    assert [from_json(payload) for _, _, payload in subscriber.lines] == done.events[1:-1]
    assert list((tmp_path / "state").glob("emotion-tracker/outbox/*")) == []


async def test_the_subscriber_of_the_documentation(mosquitto, tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", (TOP / "docs" / "mqtt.md").read_text(), re.DOTALL)
    command = [sys.executable, "-c", code, "127.0.0.1", str(mosquitto.port)]
    with anyio.fail_after(120):
        async with await anyio.open_process(command, stdin=subprocess.DEVNULL, stderr=None) as subscriber:
            while "my-subscriber" not in mosquitto.log or "SUBACK" not in mosquitto.log:
                await anyio.sleep(0.02)
            program = steered(mosquitto, tmp_path, "--pace", "fast")
            done = await anyio.to_thread.run_sync(program.finish)
            wanted = [event for event in done.events if isinstance(event, TurnEnded)]
            printed = ""
            assert subscriber.stdout
            while printed.count("\n") < len(wanted):
                printed += (await subscriber.stdout.receive()).decode()
            subscriber.kill()
    assert printed.splitlines() == [
        f"{event.start_time} {event.speaker} {event.emotion} {event.text}" for event in wanted
    ]
