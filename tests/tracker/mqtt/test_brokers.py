import contextlib
import gc
import json
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
from functools import partial

import aiomqtt
import anyio
import pytest
from paho.mqtt.packettypes import PacketTypes

from tests.support.brokers import Mosquitto, needed, subscribed
from tests.support.sessions import Script, conversation, given_out
from tracker.errors import SinkError
from tracker.events import from_json
from tracker.mqtt.address import Address
from tracker.mqtt.broker import embedded_broker
from tracker.mqtt.client import Connector, message_properties, packet_bytes
from tracker.mqtt.connection import MessageRefused
from tracker.mqtt.credentials import Login
from tracker.mqtt.messages import EventMessages
from tracker.mqtt.outbox import MemoryOutbox
from tracker.mqtt.sink import Endpoint, MqttSink, SinkOptions
from tracker.mqtt.topics import Message, Topics, status

pytestmark = [pytest.mark.anyio, pytest.mark.broker]


@pytest.fixture
async def mosquitto(tmp_path):
    broker = Mosquitto(tmp_path)
    await broker.start()
    yield broker
    broker.stop()


TOPICS = Topics("et", "desk")


def sink(address: Address, said: list[str], drain_s=5.0, **connecting) -> MqttSink:
    return published(address, Connector(address, **connecting), said.append, drain_s)


def published(address: Address, connect: Connector, report, drain_s=5.0) -> MqttSink:
    outbox = MemoryOutbox(10_000, EventMessages(TOPICS, "You are heard.").compose)
    options = SinkOptions(drain_s=drain_s, sleep=partial(_short, 0.05))
    return MqttSink(Endpoint(address, connect, TOPICS), outbox, report, options=options)


def events_of(lines):
    """The events among a subscriber's messages, the repeats left out."""
    return [from_json(one) for one in dict.fromkeys(payload for topic, _, payload in lines if topic in EVENTS)]


STATUS = "et/desk/status"
EVENTS = ("et/desk/state", "et/desk/turn", "et/desk/mark")


async def _short(longest: float, seconds: float) -> None:
    await anyio.sleep(min(longest, seconds))


async def test_an_independent_subscriber_gets_a_session(mosquitto, caplog):
    caplog.set_level(logging.INFO, "tracker")
    events, said = conversation(), []
    with anyio.fail_after(30):
        async with subscribed(mosquitto.address, "et/#") as subscriber:
            await sink(mosquitto.address, said).run(given_out(events))
            await subscriber.until("offline")
    topics = [topic.removeprefix("et/desk/") for topic, _, _ in subscriber.lines if topic in (*EVENTS, STATUS)]
    assert topics == ["status", "state", *["turn"] * 8, "state", "status"]
    assert events_of(subscriber.lines) == events
    assert not said
    connected = next(record for record in caplog.records if record.message == "connected to the broker")
    assert connected.mqtt == "5"


async def test_who_comes_late_gets_the_state_but_no_turns(mosquitto):
    with anyio.fail_after(30):
        await sink(mosquitto.address, []).run(given_out(conversation()))
        listen = [needed("mosquitto_sub"), "-p", str(mosquitto.port), "-t", "et/#"]
        command = [*listen, "-F", "%t %r %p", "--retained-only", "-C", "2"]
        done = await anyio.run_process(command)
    topics = {line.split(" ", 2)[0]: line.split(" ", 2)[2] for line in done.stdout.decode().splitlines()}
    assert topics[STATUS] == "offline"
    assert json.loads(topics["et/desk/state"])["type"] == "session.ended"


async def test_what_mqtt_5_has_room_for_arrives(mosquitto):
    with anyio.fail_after(30):
        async with aiomqtt.Client("127.0.0.1", mosquitto.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
            await client.subscribe("et/#", qos=1)
            async with anyio.create_task_group() as group:
                group.start_soon(sink(mosquitto.address, []).run, given_out(conversation()))
                seen = {}
                async for message in client.messages:
                    seen.setdefault(message.topic.value, message.properties)
                    if message.payload == b"offline":
                        break
    turn = seen["et/desk/turn"]
    assert (turn.ContentType, turn.PayloadFormatIndicator) == ("application/json", 1)
    assert dict(turn.UserProperty) == {"schema": "emotion-tracker/1", "session": "s-1"}
    assert seen[STATUS].ContentType == "text/plain"
    speaker = seen["et/desk/speaker/speaker-1"]
    assert speaker.MessageExpiryInterval <= 600


REFUSING = {
    "by its list": ("acl_file {folder}/acl", "turn notice listening metrics speaker-1 speaker-2", True),
    "by the size it names": ("max_packet_size 400", "turn state metrics", True),
    "by the size it does not name": ("message_size_limit 300", "turn state metrics", True),
    "by closing the connection": ("max_packet_size 400", "turn state metrics", False),
}


@pytest.mark.parametrize("how", REFUSING)
async def test_what_a_broker_refuses_is_named_and_the_rest_goes_out(how, tmp_path):
    setting, expected, mqtt5 = REFUSING[how]
    topics = set(expected.split())
    (tmp_path / "acl").write_text("topic write et/+/status\ntopic write et/+/state\ntopic read #\ntopic write ready\n")
    broker = Mosquitto(tmp_path, settings=f"allow_anonymous true\n{setting.format(folder=tmp_path)}")
    await broker.start()
    said: list[str] = []
    publishing = sink(broker.address, said, drain_s=20.0, mqtt5=mqtt5)
    try:
        with anyio.fail_after(60):
            async with subscribed(broker.address, "et/#") as subscriber:
                await publishing.run(given_out(conversation()))
                await subscriber.until("session.ended")
    finally:
        broker.stop()
    got = [event.seq for event in events_of(subscriber.lines)]
    assert got == ([0, 9] if "list" in how else [1, 3, 5, 7, 8, 9])
    lost = set(range(10)) - set(got)
    named = {sentence.partition(" refuses ")[2].partition(" (")[0].rpartition("/")[2] for sentence in said} - {""}
    assert named == topics
    assert sum(" refuses " in sentence for sentence in said) == len(topics)
    assert sum("cannot be reached" in sentence for sentence in said) <= (0 if mqtt5 else len(topics) + 2)
    assert len(lost) == publishing.undelivered
    assert "refused" in said[-1]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Message(70_000 * "x", "", False, "text/plain"), "a packet of 70024 bytes, and it accepts 200"),
        (Message("me/#", "", False, "text/plain"), "Publish topic cannot contain wildcards"),
        (Message("me", "\udce9", False, "text/plain"), "surrogates not allowed"),
    ],
)
async def test_what_is_no_message_is_refused_and_the_connection_lasts(message, reason, tmp_path):
    broker = Mosquitto(tmp_path, settings="allow_anonymous true\nmax_packet_size 200")
    await broker.start()
    try:
        with anyio.fail_after(30):
            async with Connector(broker.address)(status(TOPICS, online=False)) as connection:
                with pytest.raises(MessageRefused, match=reason):
                    await connection.publish(message)
                await connection.publish(status(TOPICS, online=True))
    finally:
        broker.stop()


@pytest.mark.parametrize("mqtt5", [True, False])
async def test_the_size_of_a_packet_is_known_before_it_is_sent(mqtt5):
    connack = bytes([0x20, 3, 0, 0, 0] if mqtt5 else [0x20, 2, 0, 0])
    sizes: list[int] = []

    async def measure(stream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(connack)
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                packet = b""
                while True:
                    packet += await stream.receive()
                    if packet.endswith(b"end"):
                        sizes.append(len(packet))
                        await stream.send(b"\x40\x02" + packet[packet.index(b"a/topic") + 7 :][:2])
                        packet = b""

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    address = Address("127.0.0.1", listener.extra(anyio.abc.SocketAttribute.local_port))
    expected = []
    with anyio.fail_after(30):
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, measure)
            async with Connector(address, mqtt5=mqtt5)(status(TOPICS, online=False)) as connection:
                for length in (0, *range(60, 130), *range(16_300, 16_400)):
                    message = Message("a/topic", length * "x" + "end", True, "a/b", (("schema", "x"),), expiry_s=9)
                    properties = message_properties(message, PacketTypes.PUBLISH) if mqtt5 else None
                    expected.append(packet_bytes(message, properties))
                    await connection.publish(message)
            group.cancel_scope.cancel()
    assert sizes == expected


def long_session(turns: int = 150):
    script = Script().start()
    for second in range(turns):
        script.says(second, second + 1, "Speaker 1", f"number {second}")
    return script.end(turns)


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_nothing_is_lost_when_the_broker_restarts(mosquitto, end):
    events, said = long_session(), []
    reached = {100: anyio.Event(), 200: anyio.Event()}

    async def paced():
        for event in events:
            if event.seq in reached:
                await reached[event.seq].wait()
            yield event

    with anyio.fail_after(60):
        async with subscribed(mosquitto.address, "et/#", "-c", "-i", "steady") as subscriber:
            async with anyio.create_task_group() as group:
                group.start_soon(sink(mosquitto.address, said).run, paced())
                for seq in reached:
                    await subscriber.until(f'"seq":{seq - 1},')
                    getattr(mosquitto, end)()  # while some events are waiting and more are coming
                    reached[seq].set()
                    await anyio.wait_all_tasks_blocked()
                    await mosquitto.start()
            await subscriber.until("session.ended")
    assert events_of(subscriber.lines) == events
    received = [line for line in mosquitto.log.splitlines() if "Received PUBLISH from tracker" in line]
    sent = sum(f"'{topic}'" in line for line in received for topic in EVENTS)
    assert 0 <= sent - len(events) <= 4  # what each restart caught on its way, and the retained state once more
    assert [("back" in sentence, "reached" in sentence) for sentence in said] == [(False, True), (True, False)] * 2


async def test_a_broker_that_comes_late_gets_everything(tmp_path):
    broker, said = Mosquitto(tmp_path), []
    tried = anyio.Event()

    async def events():
        for event in conversation():
            yield event
        await tried.wait()

    def report(sentence: str) -> None:
        said.append(sentence)
        tried.set()

    connect = Connector(broker.address)
    late = published(broker.address, connect, report, 20.0)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(late.run, events())
            await tried.wait()
            await broker.start()
    broker.stop()
    assert "cannot be reached (Connection refused)" in said[0]
    assert said[1:] == [f"the broker at {broker.address} is back; 19 kept messages follow"]


PUBLISHING = """
import sys, anyio
from tests.support.sessions import conversation
from tracker.mqtt.address import Address
from tracker.mqtt.client import Connector, message_properties, packet_bytes
from tracker.mqtt.connection import MessageRefused
from tracker.mqtt.messages import EventMessages
from tracker.mqtt.sink import Endpoint, MqttSink
from tracker.mqtt.outbox import MemoryOutbox
from tracker.mqtt.topics import Topics

async def events():
    yield conversation()[0]
    await anyio.sleep_forever()

async def main():
    address = Address("127.0.0.1", int(sys.argv[1]))
    topics = Topics("et", "desk")
    outbox = MemoryOutbox(10, EventMessages(topics).compose)
    await MqttSink(Endpoint(address, Connector(address), topics), outbox, print).run(events())

anyio.run(main)
"""


async def test_the_broker_says_when_the_tracker_is_lost(mosquitto):
    command = [sys.executable, "-c", PUBLISHING, str(mosquitto.port)]
    with anyio.fail_after(30):
        async with subscribed(mosquitto.address, "et/#") as subscriber:
            async with await anyio.open_process(command, stdout=None, stderr=None) as process:
                await subscriber.until("session.started")
                process.kill()
            await subscriber.until("offline")
    assert [payload for topic, _, payload in subscriber.lines if topic == STATUS] == ["online", "offline"]


async def test_user_and_password(tmp_path):
    passwords = tmp_path / "passwords"
    subprocess.run([needed("mosquitto_passwd"), "-b", "-c", passwords, "me", "secret"], check=True)
    broker, said = Mosquitto(tmp_path, settings=f"allow_anonymous false\npassword_file {passwords}"), []
    await broker.start()
    try:
        with anyio.fail_after(30):
            await sink(broker.address, said, login=Login("me", "secret")).run(given_out(conversation()))
            assert not said
            await sink(broker.address, said, 0.3, login=Login("me", "wrong")).run(given_out(conversation()))
    finally:
        broker.stop()
    assert "cannot be reached (Not authorized)" in said[0]
    assert said[1].endswith("19 could not be delivered")
    assert "wrong" not in " ".join(said)


@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
async def test_encrypted(tmp_path):
    command = [
        needed("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    broker = Mosquitto(
        tmp_path, settings=f"allow_anonymous true\ncertfile {tmp_path}/cert.pem\nkeyfile {tmp_path}/key.pem"
    )
    address, said = Address("127.0.0.1", broker.port, tls=True), []
    await broker.start()
    try:
        with anyio.fail_after(30):
            trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
            await sink(address, said, tls=trusting).run(given_out(conversation()))
            assert not said
            await sink(address, said, 0.3).run(given_out(conversation()))
    finally:
        broker.stop()
    gc.collect()  # paho leaves the refused socket to the garbage collector, which complains
    assert "certificate verify failed" in said[0]


async def test_the_embedded_broker(caplog, capfd):
    caplog.set_level(logging.INFO, "tracker")
    events, said = conversation(), []
    with anyio.fail_after(30):
        async with embedded_broker(0) as own, subscribed(own.address, "et/#") as subscriber:
            await sink(own.address, said, mqtt5=False).run(given_out(events))
            await subscriber.until("offline")
    assert events_of(subscriber.lines) == events
    assert not said
    connected = next(record for record in caplog.records if record.message == "connected to the broker")
    assert connected.mqtt == "3.1.1"
    assert capfd.readouterr() == ("", "")
    with anyio.fail_after(5), pytest.raises(OSError, match=r"refused|attempts failed"):
        await anyio.connect_tcp("127.0.0.1", own.address.port)


async def test_the_embedded_broker_is_loopback_only():
    async with embedded_broker(0) as own:
        with pytest.raises(OSError, match=r"refused|attempts failed"):
            await anyio.connect_tcp("127.0.0.2", own.address.port)


async def test_a_broker_that_chokes_on_mqtt_5_is_spoken_to_in_3_1_1(caplog):
    caplog.set_level(logging.INFO, "tracker")
    said = []
    with anyio.fail_after(30):
        async with embedded_broker(0) as own:
            connect = Connector(own.address, timeout_s=0.3)
            await published(own.address, connect, said.append).run(given_out(conversation()))
    assert ["cannot be reached (no answer)" in said[0], "is back" in said[1]] == [True, True]
    assert [record.mqtt for record in caplog.records if record.message == "connected to the broker"] == ["3.1.1"]


async def test_a_broker_that_refuses_mqtt_5_is_spoken_to_in_3_1_1_at_once():
    levels = []

    async def refuse_5(stream) -> None:
        async with stream:
            connect = await stream.receive()
            levels.append(connect[connect.index(b"MQTT") + 4])
            await stream.send(b"\x20\x02\x00" + (b"\x01" if levels[-1] == 5 else b"\x00"))
            with contextlib.suppress(anyio.EndOfStream):
                while levels[-1] == 4:
                    await stream.receive()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    with anyio.fail_after(30):
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, refuse_5)
            async with Connector(Address("127.0.0.1", port))(status(TOPICS, online=False)):
                assert levels == [5, 4]
            group.cancel_scope.cancel()


async def test_a_broker_that_hangs_is_given_up_and_tried_again(mosquitto):
    said = []

    async def events():
        for event in conversation():
            if event.seq == 5:
                os.kill(mosquitto.pid, signal.SIGSTOP)
            yield event

    def report(sentence: str) -> None:
        said.append(sentence)
        os.kill(mosquitto.pid, signal.SIGCONT)

    hanging = Connector(mosquitto.address, timeout_s=0.5)
    with anyio.fail_after(30):
        async with subscribed(mosquitto.address, "et/#") as subscriber:
            async with anyio.create_task_group() as group:
                group.start_soon(published(mosquitto.address, hanging, report).run, events())
            await subscriber.until("session.ended")
    assert events_of(subscriber.lines) == conversation()
    assert ["cannot be reached (no answer)" in said[0], "is back" in said[1]] == [True, True]


async def test_a_port_that_is_taken_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SinkError, match=rf"port {port} is not available .* mqtt\.port = 0"):
            async with embedded_broker(port):
                pass
