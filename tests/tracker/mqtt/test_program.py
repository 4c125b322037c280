"""The whole program and a broker: steered over MQTT, and heard by the subscriber of the documentation."""

import json
import re
import subprocess
import sys

import aiomqtt
import anyio
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.support import TOP
from tests.support.brokers import Mosquitto
from tests.support.command import Tracker, telephone
from tracker.events import ListeningPaused, ListeningResumed, MomentMarked, SpeakerRenamed, TurnEnded

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
