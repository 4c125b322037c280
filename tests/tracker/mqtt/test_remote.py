import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pictures.story import story, write_session
from tests.support.brokers import Mosquitto
from tests.support.fakes import Collect
from tests.support.sessions import Script, conversation, sessions
from tests.support.tmux import Tmux
from tracker.dashboard.view import View, fold
from tracker.events import to_json
from tracker.mqtt.address import Address
from tracker.mqtt.remote import MAX_BYTES, MAX_SESSIONS, RemoteSessions
from tracker.mqtt.watch import RemoteDashboard

TOPIC = "emotion-tracker/room/turn"


def told(*events, watched: RemoteSessions | None = None) -> RemoteSessions:
    watched = watched or RemoteSessions()
    for event in events:
        watched.take(TOPIC, to_json(event).encode())
    return watched


@given(sessions(), st.data())
def test_doubled_messages_change_nothing(events, data):
    doubled = [event for event in events for _ in range(data.draw(st.integers(1, 2)))]
    view = View()
    for event in events:
        view = fold(view, event)
    assert told(*doubled).view == view


@given(st.text(max_size=30), st.binary(max_size=60))
def test_what_is_not_ours_is_passed_over(topic, payload):
    assert not RemoteSessions().take(topic, payload)
    assert not RemoteSessions().take("emotion-tracker/room/speaker/x", b"{" + payload)


@pytest.mark.parametrize("inner", [b'{"a":', b"[", b'{"type":{"type":'])
@pytest.mark.parametrize("topic", ["turn", "partial", "notice", "speaker/x"])
def test_json_of_any_depth_and_size_is_passed_over(topic, inner):
    watched = RemoteSessions()
    for depth in (150, 190_000, 10_000_000 // len(inner)):
        assert not watched.take(f"emotion-tracker/room/{topic}", b'{"type":"turn.ended","a":' + depth * inner)


def test_an_event_that_is_far_too_large_is_passed_over():
    (started,) = Script("s").start("x" * MAX_BYTES).events
    assert not RemoteSessions().take(TOPIC, to_json(started).encode())


class Said(Collect):
    """A terminal of which only the sentences matter."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.say = self.said.append

    def show_view(self, *_: object) -> None: ...


def packet(kind: int, body: bytes) -> bytes:
    assert len(body) < 128 * 128
    return bytes([kind, len(body) % 128 | 128, len(body) // 128]) + body


def publish(topic: bytes, payload: bytes) -> bytes:
    return packet(0x30, len(topic).to_bytes(2, "big") + topic + payload)


@asynccontextmanager
async def answering(granted: int, *messages: bytes):
    """A broker that any client may connect to; answers the first subscription and sends it messages."""
    connections = 0

    async def serve(stream) -> None:
        nonlocal connections
        connections += 1
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await stream.receive()
                await stream.send(packet(0x20, b"\0\0"))
                subscribing = await stream.receive()
                await stream.send(packet(0x90, subscribing[2:4] + bytes([granted])) + b"".join(messages))
                while True:
                    await stream.receive()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield Address("127.0.0.1", port), lambda: connections
        group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_topic_that_is_not_utf_8_is_passed_over():
    events, terminal = conversation(), Said()
    topics = [b"emotion-tracker/\xff\xfe/turn", b"emotion-tracker/room/#", *[TOPIC.encode()] * len(events)]
    payloads = [b"{}", b"{}", *(to_json(event).encode() for event in events)]
    with anyio.fail_after(20):
        async with answering(1, *map(publish, topics, payloads)) as (address, connections):
            async for event in RemoteDashboard(address, "emotion-tracker", terminal)._events():  # type: ignore[arg-type]
                terminal.events.append(event)
                if event == events[-1]:
                    break
    assert (terminal.events, terminal.said, connections()) == (events, [], 1)


@pytest.mark.anyio
async def test_a_broker_that_refuses_the_subscription_is_named():
    terminal = Said()
    refused = anyio.Event()

    def say(sentence: str) -> None:
        terminal.said.append(sentence)
        refused.set()

    terminal.say = say
    with anyio.fail_after(20):
        async with answering(0x80) as (address, _), anyio.create_task_group() as group:
            dashboard = RemoteDashboard(address, "emotion-tracker", terminal)  # type: ignore[arg-type]
            group.start_soon(dashboard.run, anyio.Event())
            await refused.wait()
            group.cancel_scope.cancel()
    assert terminal.said == [f"the broker at {address} refuses emotion-tracker/# (Unspecified error)"]


def test_joining_in_the_middle():
    watched = told(*conversation()[3:])
    assert [row.text for row in watched.view.rows if row.text] == [
        "Oh, hello. I didn't know you were there.", "Neither did I.",
    ]  # fmt: skip


def test_what_is_retained_stands_in_for_what_was_missed():
    watched = RemoteSessions()
    payload = b'{"schema":"emotion-tracker/1","session":"s-1","seq":4,"speaker":"speaker-1","emotion":"joy",' \
        b'"confidence":0.7,"abstained":false,"sentiment":"positive","time":"2026-01-02T03:04:05.000Z"}'  # fmt: skip
    assert watched.take("emotion-tracker/room/speaker/speaker-1", payload)
    notice = b'{"session":"s-1","time":"2026-01-02T03:04:05.000Z","notice":"A machine listens."}'
    assert watched.take("emotion-tracker/room/notice", notice)
    assert [(one.id, one.judgements[-1].emotion) for one in watched.view.speakers] == [("speaker-1", "joy")]
    assert watched.notice == "A machine listens."
    told(*conversation(), watched=watched)
    assert watched.view.speaker_ids == ("Speaker 1", "Speaker 2")
    assert not watched.take("emotion-tracker/room/speaker/speaker-1", payload)


def test_several_sessions_to_choose_from():
    watched = told(*Script("a").start("first").events)
    told(*Script("b").start("second").events, watched=watched)
    assert (watched.shown, watched.position) == ("b", (2, 2))
    watched.switch(1)
    assert (watched.shown, watched.position) == ("a", (1, 2))
    told(*Script("c").start("third").events, watched=watched)
    assert watched.shown == "a"
    for number in range(2 * MAX_SESSIONS):
        told(*Script(f"more {number}").start().events, watched=watched)
    assert watched.position[1] <= MAX_SESSIONS
    assert watched.shown == "a"


@pytest.mark.broker
@pytest.mark.anyio
async def test_joined_late_and_through_a_broker_that_is_restarted(tmp_path):
    session = write_session(tmp_path / "kept", story(1), audio=False)
    broker = Mosquitto(tmp_path)
    await broker.start()
    url = f"mqtt://127.0.0.1:{broker.port}"
    tracker = (sys.executable, "-m", "tracker")
    wait = anyio.to_thread.run_sync

    def publisher() -> Tmux:
        return Tmux(*tracker, "replay", str(session), "--mqtt", url, "--speed", "2", folder=Path(tmp_path))

    with publisher() as other:
        await wait(other.until, "asked your sister")
        with Tmux(*tracker, "watch", url, folder=Path(tmp_path), size=(120, 40)) as terminal:
            try:
                await wait(terminal.until, "connected", "n next session")
                await wait(terminal.until, "So tell me,", "Anna")
                assert "Is that you?" not in terminal.screen()
                broker.stop()
                await wait(terminal.until, "cannot be reached")
                await broker.start()
                await wait(terminal.until, "broker    connected", "completed after")
                terminal.press("q")
                await wait(terminal.until, "left with 0", "echo")
            finally:
                broker.stop()
