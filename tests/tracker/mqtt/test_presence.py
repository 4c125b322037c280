"""Two trackers of one node, and what a dead one has left."""

import os
import signal
import subprocess
from contextlib import nullcontext
from dataclasses import replace

import anyio
import pytest

from tests.support.brokers import Mosquitto, needed, subscribed
from tests.support.sessions import conversation, given_out
from tests.tracker.mqtt.test_brokers import STATUS, TOPICS, sink
from tests.tracker.mqtt.test_sink import ScriptedBroker
from tracker.errors import SinkError, first_of
from tracker.events import from_json
from tracker.mqtt import presence
from tracker.mqtt.broker import embedded_broker
from tracker.mqtt.connection import ConnectionLost, IncomingMessage
from tracker.mqtt.presence import Presence
from tracker.mqtt.sink import MqttSink
from tracker.mqtt.topics import status

pytestmark = [pytest.mark.anyio, pytest.mark.broker]


@pytest.fixture
async def mosquitto(tmp_path):
    broker = Mosquitto(tmp_path, settings=f"allow_anonymous true\nacl_file {tmp_path}/acl")
    (tmp_path / "acl").write_text("topic readwrite #\n")
    await broker.start()
    yield broker
    broker.stop()


def alone(address, said: list[str], ask: bool = True, mqtt5: bool = True) -> MqttSink:
    """A sink that publishes only if no other tracker does."""
    made = sink(address, said, mqtt5=mqtt5)
    asking = Presence(made._endpoint.connect, TOPICS, ask)
    made._endpoint = replace(made._endpoint, connect=asking)
    made._handlers = [asking]
    return made


def say(address, topic: str, payload: str) -> None:
    command = [needed("mosquitto_pub"), "-p", str(address.port), "-r", "-q", "1"]
    subprocess.run([*command, "-t", TOPICS[topic], "-m", payload], check=True)


def kept(address) -> dict[str, str]:
    """What the broker has retained below the node, by the rest of the topic."""
    port = ["-p", str(address.port), "-q", "1"]
    subprocess.run([needed("mosquitto_pub"), *port, "-r", "-t", "zzz", "-m", "end"], check=True)
    listen = [needed("mosquitto_sub"), *port, "-t", f"{TOPICS.root}/#", "-t", "zzz", "-F", "%t %p"]
    with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as listening:
        assert listening.stdout
        lines = [line.rstrip("\n").partition(" ") for line in iter(listening.stdout.readline, "zzz end\n")]
        listening.terminate()
    return {topic.removeprefix(f"{TOPICS.root}/"): payload for topic, _, payload in lines}


async def while_it_publishes(publishing: MqttSink, ended: anyio.Event) -> None:
    async def events():
        first, *rest = conversation()
        for event in (first, *rest[:-1]):
            yield event
        await ended.wait()
        yield rest[-1]

    await publishing.run(events())


@pytest.mark.parametrize("how", ["MQTT 5", "MQTT 3.1.1", "a broker of the first one's own"])
async def test_a_second_tracker_of_a_node_does_not_publish(how, mosquitto, monkeypatch):
    monkeypatch.setattr(presence, "_ANSWER_S", 20.0)
    own, mqtt5 = "own" in how, how == "MQTT 5"
    said: list[str] = []
    ended = anyio.Event()
    with anyio.fail_after(30):
        async with embedded_broker(0) if own else nullcontext(mosquitto) as broker:
            address = broker.address
            async with subscribed(address, f"{TOPICS.root}/#") as subscriber, anyio.create_task_group() as group:
                group.start_soon(while_it_publishes, alone(address, said, ask=not own, mqtt5=mqtt5), ended)
                await subscriber.until('"seq":8,')
                with pytest.raises(ExceptionGroup) as refused:
                    await alone(address, said, mqtt5=mqtt5).run(given_out(conversation("second")))
                before = await anyio.to_thread.run_sync(kept, address)
                ended.set()
                await subscriber.until("offline")
    error = first_of(refused.value)
    assert isinstance(error, SinkError)
    assert "another tracker publishes as et/desk, so this one does not; set mqtt.node" in str(error)
    assert before["status"] == "online"
    assert "speaker-1" in before["speaker/speaker-1"]
    assert [payload for topic, _, payload in subscriber.lines if topic == STATUS] == ["online", "online", "offline"]
    assert said == [f"the broker at {address}: 19 could not be delivered, as it has not answered yet"]


@pytest.mark.parametrize("mqtt5", [True, False])
async def test_what_a_killed_tracker_has_left_is_cleared(mqtt5, mosquitto, monkeypatch):
    monkeypatch.setattr(presence, "_ANSWER_S", 0.3)
    for topic, payload in (("status", "online"), ("speaker/speaker-7", "{}"), ("speaker/speaker-8", "{}")):
        say(mosquitto.address, topic, payload)
    said: list[str] = []
    with anyio.fail_after(30):
        await alone(mosquitto.address, said, mqtt5=mqtt5).run(given_out(conversation()))
    left = await anyio.to_thread.run_sync(kept, mosquitto.address)
    assert (left.keys(), left["status"], said) == ({"status", "state", "metrics"}, "offline", [])


async def test_the_last_will_of_a_killed_tracker_is_contradicted(mosquitto):
    ended = anyio.Event()
    with anyio.fail_after(30):
        async with subscribed(mosquitto.address, STATUS) as subscriber, anyio.create_task_group() as group:
            group.start_soon(while_it_publishes, alone(mosquitto.address, []), ended)
            await subscriber.until("online")
            say(mosquitto.address, "status", "offline")
            await subscriber.until("offline")
            await subscriber.until("online")
            ended.set()
            await subscriber.until("offline")


async def test_a_tracker_that_may_only_write_publishes_all_the_same(mosquitto, tmp_path, monkeypatch):
    monkeypatch.setattr(presence, "_ANSWER_S", 0.1)
    (tmp_path / "acl").write_text(f"topic write {TOPICS.root}/#\n")
    os.kill(mosquitto.pid, signal.SIGHUP)
    said: list[str] = []
    publishing = alone(mosquitto.address, said)
    with anyio.fail_after(30):
        await publishing.run(given_out(conversation()))
    assert (publishing.waiting, said) == (0, [])


async def test_a_broker_that_closes_at_the_question_is_asked_no_more():
    class Closing(ScriptedBroker):
        async def subscribe(self, filters) -> dict[str, str]:
            if filters:
                raise ConnectionLost("it closed the connection")
            return {}

    broker = Closing(None)
    asking = Presence(broker.connect, TOPICS)
    made = broker.sink(handlers=[asking])
    made._endpoint = replace(made._endpoint, connect=asking)
    with anyio.fail_after(30):
        await made.run(given_out(conversation()))
    assert [from_json(message.payload) for message in broker.events] == conversation()
    assert (broker.said, asking.subscriptions) == ([], ())


def test_only_a_question_and_a_will_are_answered():
    there = Presence(ScriptedBroker(None).connect, TOPICS)
    online = [status(TOPICS, online=True)]
    assert there.handle(IncomingMessage(TOPICS["presence"], b"?")) == online
    assert there.handle(IncomingMessage(STATUS, b"offline")) == online
    assert there.handle(IncomingMessage(STATUS, b"offline", retained=True)) == online  # said after we said online
    assert there.handle(IncomingMessage(TOPICS["presence"], b"?", retained=True)) == []
    assert there.handle(IncomingMessage(STATUS, b"online")) == []
    assert there.handle(IncomingMessage(TOPICS["cmd/stop"], b"offline")) == []
