"""Publishing as the settings put it together, without a broker."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import platformdirs
import pytest

from tests.support.sessions import conversation, given_out
from tracker.app.mqtt import Broker, LiveSession, external, flush, open_broker, publishing, topics_of
from tracker.config import load
from tracker.errors import ConfigError, SinkError
from tracker.metrics.model import SessionMetrics
from tracker.mqtt.connection import Connection
from tracker.mqtt.presence import Presence
from tracker.mqtt.spool import leftover_spools
from tracker.mqtt.topics import Message
from tracker.mqtt.write_ahead import WriteAhead
from tracker.recordings.format import EVENTS
from tracker.recordings.recorder import Recorder

pytestmark = pytest.mark.anyio

NOBODY = "mqtt.url=mqtt://127.0.0.1:1"


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """The outbox is in a folder of the test's own."""
    monkeypatch.setattr(platformdirs, "user_state_path", lambda _: tmp_path / "state")
    return tmp_path / "state" / "outbox"


def hurry(sink) -> None:
    """Wait for no broker at the end."""
    mqtt = sink.sink if isinstance(sink, WriteAhead) else sink
    mqtt._options = replace(mqtt._options, drain_s=0.1)


async def run(*sets: str, recorder: Recorder | None = None) -> list[str]:
    said: list[str] = []
    async with publishing(load(None, {}, [NOBODY, *sets]), said.append, LiveSession(recorder)) as sinks:
        hurry(sinks[-1])
        for sink in sinks:
            await sink.run(given_out(conversation()))
    return said


@pytest.mark.parametrize("text", ["true", "false"])
async def test_the_outbox_keeps_words_only_where_they_are_published(text, state):
    said = await run(f"mqtt.text={text}")
    assert "delivers them" in said[-1]
    (log,) = state.glob(f"*/session/{EVENTS}")
    assert ("didn't know you were there" in log.read_text()) == (text == "true")
    assert log.parent.stat().st_mode & 0o077 == 0


async def test_a_recorded_session_is_its_own_outbox(state, tmp_path):
    await run("record.text=true", recorder=Recorder(tmp_path / "kept", {}))
    (entry,) = state.glob("*/entry.json")
    assert str(tmp_path / "kept") in entry.read_text()
    assert not (entry.parent / "session").exists()


async def test_a_recording_without_words_leaves_them_to_the_outbox(state, tmp_path):
    await run(recorder=Recorder(tmp_path / "kept", {}, text=False))
    (waiting,) = state.glob(f"*/session/{EVENTS}")
    assert "didn't know you were there" in waiting.read_text()
    kept = (tmp_path / "kept" / EVENTS).read_text()
    assert "didn't know you were there" not in kept
    assert kept.count("\n") == waiting.read_text().count("\n")


async def test_without_an_outbox_nothing_is_left_on_the_disk(state):
    said: list[str] = []
    config = load(None, {}, [NOBODY, "mqtt.outbox_mb=0"])
    async with publishing(config, said.append, LiveSession()) as (sink,):
        hurry(sink)
        await sink.run(given_out(conversation()))
    assert said[-1].endswith("19 could not be delivered")
    assert not state.exists()


async def test_a_session_that_never_began_leaves_nothing(state):
    async with publishing(load(None, {}, [NOBODY]), print, LiveSession()):
        assert len(list(state.iterdir())) == 1
    assert list(state.iterdir()) == []


async def test_where_publishing_fails_the_whole_session_is_kept_for_later(state, monkeypatch):
    @asynccontextmanager
    async def refuse(presence: Presence, will: Message | None) -> AsyncIterator[Connection]:
        raise SinkError("another tracker publishes as this one")
        yield

    monkeypatch.setattr(Presence, "__call__", refuse)
    said: list[str] = []
    failed = anyio.Event()

    def report(sentence: str) -> None:
        said.append(sentence)
        failed.set() if "another" in sentence else None

    async def events():
        first, *rest = conversation()
        yield first
        await failed.wait()
        for event in rest:
            assert leftover_spools(state) == []  # still in use
            yield event

    with anyio.fail_after(20):
        async with publishing(load(None, {}, [NOBODY]), report, LiveSession()) as (sink,):
            await sink.run(events())
            assert sink.sink.state() == "failed, nothing is published"
    assert [sentence.rpartition(": ")[2] for sentence in said[1:]] == [
        "undelivered events are kept; the next run, or tracker sessions flush, delivers them",
        "another tracker publishes as this one",
    ]
    (left,) = leftover_spools(state)
    assert list(left.unread()) == conversation()
    left.close(complete=True)


async def test_the_oldest_makes_room_and_that_is_said(state):
    await run()
    (old,) = state.iterdir()
    (old / "session" / "more").write_bytes(bytes(2 << 20))
    assert f"the outbox was full; what the run {old.name} had not delivered is gone" in await run("mqtt.outbox_mb=1")
    assert not old.exists()


async def test_what_nobody_has_taken_for_long_is_removed_and_that_is_said(state):
    await run()
    (old,) = state.iterdir()
    files = [path for path in old.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"entry.json", "lock", "events.jsonl", "start.json", "stop.json"}
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
    os.utime(old / "entry.json", times=(0, time.time() - 29 * 86_400))
    said = await run()
    assert old.exists()
    os.utime(old / "entry.json", times=(0, time.time() - 31 * 86_400))
    assert old.exists()
    await run("mqtt.outbox_days=0")
    assert old.exists()
    said = await run()
    assert f"what the run {old.name} had not delivered within 30 days is gone from the outbox" in said
    assert not old.exists()


async def test_flushing_needs_a_broker():
    with pytest.raises(SinkError, match=r"there is no broker to deliver to; set mqtt\.url"):
        await flush(load(None, {}), print, 1)


def test_files_are_looked_at_before_anything_else(tmp_path):
    config = load(None, {}, ["mqtt.url=mqtts://far.example", "mqtt.ca_file=none.pem"])
    with pytest.raises(SinkError, match=r"none\.pem: cannot be read"):
        external(config.mqtt)


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("mqtt.node=a/b", "mqtt.node: must be one level of a topic"),
        ("mqtt.client_key=k.pem", "mqtt.client_key: is of no use without client_cert"),
        ("mqtt.ca_file=ca.pem", "mqtt.url: certificates are only used with mqtts://"),
    ],
)
def test_settings_that_do_not_go_together(setting, fault):
    with pytest.raises(ConfigError, match=fault):
        load(None, {}, [NOBODY, setting])


def test_the_node_is_the_machines_name_or_what_the_settings_say():
    assert topics_of(load(None, {}, ["mqtt.node=attic"]).mqtt).root == "emotion-tracker/attic"
    assert len(topics_of(load(None, {}).mqtt).root.split("/")) == 2


async def test_sessions_of_one_process_share_our_own_broker_each_on_its_own_node():
    said: list[str] = []
    config = load(None, {}, ["mqtt.port=0", "mqtt.node=desk"])
    events, delivered = {name: conversation(name) for name in ("call", "meeting")}, {}

    async def publish(name: str, broker: Broker) -> None:
        own = config.model_copy(update={"mqtt": config.mqtt.model_copy(update={"node": f"desk-{name}"})})
        metrics = SessionMetrics(skipped=len(name))
        live = LiveSession(broker=broker, metrics=lambda: metrics)
        async with publishing(own, said.append, live) as (sink,):
            await sink.run(given_out(events[name]))
            delivered[name] = sink.sink.metrics.messages_delivered

    async with open_broker(config.mqtt) as broker, anyio.create_task_group() as group:
        for name in events:
            group.start_soon(publish, name, broker)
    assert all(count >= len(events[name]) for name, count in delivered.items())
    assert {line.rpartition(" ")[2] for line in said} == {
        "emotion-tracker/desk-call/#",
        "emotion-tracker/desk-meeting/#",
    }
