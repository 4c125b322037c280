"""What waits for the broker on the disk: nothing lost, whatever is acknowledged before the process dies."""

import errno
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fakes import Broken, Collect
from tests.support.sessions import Script, conversation, given_out, sessions
from tests.tracker.mqtt.test_sink import HOME, ScriptedBroker
from tracker.errors import SessionError, SinkError
from tracker.events import Event, from_json, to_json, without_words
from tracker.mqtt.disk_outbox import DiskOutbox
from tracker.mqtt.messages import EventMessages
from tracker.mqtt.spool import CURSOR, REFUSED, create_spool, leftover_spools, make_room, size
from tracker.mqtt.topics import Topics
from tracker.mqtt.write_ahead import WriteAhead
from tracker.recordings.format import EVENTS
from tracker.recordings.recorder import Recorder
from tracker.recordings.replay import read_session

pytestmark = pytest.mark.anyio

TOPICS = Topics("et", "desk")
BROKER = "mqtt://127.0.0.1:1883"


def write(folder: Path, events) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / EVENTS).open("a") as log:
        log.writelines(to_json(event) + "\n" for event in events)


def take(outbox: DiskOutbox, count: int) -> list[Event]:
    """Deliver so many events; what they are."""
    got = []
    while len(got) < count and (message := outbox.head):
        if message.seq is not None:
            got.append(from_json(message.payload))
        outbox.acknowledge(message)
    return got


@settings(max_examples=60)
@given(sessions(), st.data())
def test_a_crash_at_any_moment_loses_nothing(events, data):
    window = data.draw(st.integers(1, 5))
    with tempfile.TemporaryDirectory() as name, ExitStack() as closing:  # hypothesis may end an example anywhere
        root = Path(name)
        spool = create_spool(root, "one", None, BROKER, TOPICS)
        closing.callback(spool.close, complete=False)
        outbox = DiskOutbox(spool, EventMessages(TOPICS).compose, window)
        written = data.draw(st.integers(0, len(events)))
        got = []
        for event in events[:written]:
            write(spool.session, [event])
            outbox.put(event, late=False)
            got += take(outbox, data.draw(st.integers(0, 3)))
        write(spool.session, data.draw(st.sampled_from([[], events[written : written + 1]])))
        with (spool.session / EVENTS).open("a") as file:
            file.write(data.draw(st.sampled_from(["", '{"torn'])))
        log = (spool.session / EVENTS).read_bytes()
        kept = log.count(b"\n")
        outbox.close(over=False)  # all that a killed process leaves undone is done by the system
        if not log:
            assert leftover_spools(root) == []
            return
        (left,) = leftover_spools(root)
        closing.callback(left.close, complete=False)
        again = DiskOutbox.of_earlier_run(left, EventMessages(TOPICS).late_messages, window)
        assert len(again) == kept - len(got)
        rest = take(again, len(events))
        assert got + rest == events[:kept]
        again.close(over=True)
        assert list(root.iterdir()) == []


@settings(max_examples=60)
@given(sessions(), st.lists(st.lists(st.sampled_from(["accepted", "refused"]), max_size=20), max_size=4), st.booleans())
def test_what_the_broker_refuses_is_tried_again_by_every_later_run(events, runs, over):
    got: set[int | None] = {None}

    def deliver(outbox: DiskOutbox, answers) -> None:
        for answer in answers:
            if not (message := outbox.head):
                return
            if answer == "refused":
                outbox.set_aside(message)
            else:
                outbox.acknowledge(message)
                got.add(message.seq)

    with tempfile.TemporaryDirectory() as name, ExitStack() as closing:
        spool = create_spool(Path(name), "one", None, BROKER, TOPICS)
        closing.callback(spool.close, complete=False)
        write(spool.session, events)
        outbox = DiskOutbox(spool, EventMessages(TOPICS).compose, window=3)
        for event in events:
            outbox.put(event, late=False)
        deliver(outbox, ["refused", *(runs[0] if runs else ())])
        outbox.close(over)
        for answers in [*runs[1:], ["accepted"] * len(events)]:
            for left in leftover_spools(Path(name)):
                closing.callback(left.close, complete=False)
                again = DiskOutbox.of_earlier_run(left, EventMessages(TOPICS).late_messages, window=3)
                assert len(again) == len({event.seq for event in events} - got)
                deliver(again, answers)
                again.close(over=True)
        assert got == {None, *(event.seq for event in events)}
        assert list(Path(name).iterdir()) == []


async def test_what_an_earlier_run_left_is_late_and_not_retained(tmp_path):
    spool = create_spool(tmp_path, "one", None, BROKER, TOPICS)
    write(spool.session, conversation())
    outbox = DiskOutbox.of_earlier_run(spool, EventMessages(TOPICS, text=False).late_messages)
    while message := outbox.head:
        assert (message.topic, message.retain) == ("et/desk/late", False)
        assert ("late", "true") in message.user_properties
        assert without_words(from_json(message.payload)) == from_json(message.payload)
        outbox.acknowledge(message)
    outbox.close(over=True)


async def test_an_earlier_run_whose_topic_nobody_accepts_holds_up_no_other(tmp_path):
    broker = ScriptedBroker(None)
    broker.refuses = {"far-too-long/late": "Publish topic is too long"}
    for name, node in (("one", "far-too-long"), ("two", "desk")):
        spool = create_spool(tmp_path, name, None, BROKER, Topics("et", node))
        write(spool.session, conversation(name))
        spool.close(complete=False)
    earlier = [
        DiskOutbox.of_earlier_run(left, EventMessages(left.topics).late_messages) for left in leftover_spools(tmp_path)
    ]
    sink = broker.sink(earlier=earlier)
    with anyio.fail_after(20):
        await sink.run(given_out(conversation("three")))
    events = [from_json(message.payload) for message in broker.events]
    assert events == conversation("two") + conversation("three")
    assert [sentence.removeprefix(f"the broker at {HOME} ") for sentence in broker.said] == [
        "refuses et/far-too-long/late (Publish topic is too long, event 0)",
        f"10 events of an earlier run were delivered to {HOME}",
        "refused 10 messages; kept for the next run or tracker sessions flush: 10 of earlier runs",
    ]
    assert [left.name for left in tmp_path.iterdir()] == ["one"]


def test_an_entry_belongs_to_one_process_and_one_broker(tmp_path):
    mine = create_spool(tmp_path, "one", None, BROKER, TOPICS)
    write(mine.session, conversation())
    assert leftover_spools(tmp_path) == []
    mine.close(complete=False)
    assert leftover_spools(tmp_path, "mqtt://elsewhere:1883") == []
    (left,) = leftover_spools(tmp_path, BROKER)
    left.close(complete=True)
    assert leftover_spools(tmp_path) == []
    assert (tmp_path).stat().st_mode & 0o077 == 0 or not any(tmp_path.iterdir())


def test_a_cursor_that_cannot_be_read_repeats_rather_than_loses(tmp_path):
    spool = create_spool(tmp_path, "one", None, BROKER, TOPICS)
    write(spool.session, conversation())
    spool.confirm(3)
    (spool.folder / CURSOR).write_text("")
    spool.close(complete=False)
    (left,) = leftover_spools(tmp_path)
    outbox = DiskOutbox.of_earlier_run(left, EventMessages(TOPICS).late_messages)
    assert take(outbox, 99) == conversation()
    outbox.close(over=True)


def test_refusals_that_cannot_be_read_hide_no_others(tmp_path):
    spool = create_spool(tmp_path, "one", None, BROKER, TOPICS)
    write(spool.session, conversation())
    spool.confirm(9)
    (spool.folder / REFUSED).write_bytes(b"2 refused\n\xff\n\n7\n3 refused\n2 delivered\n4 refu")
    spool.close(complete=False)
    (left,) = leftover_spools(tmp_path)
    outbox = DiskOutbox.of_earlier_run(left, EventMessages(TOPICS).late_messages)
    assert [event.seq for event in take(outbox, 99)] == [3, 4, 7]
    outbox.close(over=True)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_repeats_rather_than_loses(tmp_path, monkeypatch):
    spool = create_spool(tmp_path, "one", None, BROKER, TOPICS)
    write(spool.session, conversation())
    outbox = DiskOutbox(spool, EventMessages(TOPICS).compose)
    for event in conversation():
        outbox.put(event, late=False)
    assert len(take(outbox, 2)) == 2

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        patch.setattr(Path, "open", full)
        while outbox.head and outbox.head.seq is None:
            outbox.acknowledge(outbox.head)
        outbox.set_aside(outbox.head)
    take(outbox, 99)
    outbox.close(over=True)
    (left,) = leftover_spools(tmp_path)
    again = DiskOutbox.of_earlier_run(left, EventMessages(TOPICS).late_messages)
    assert take(again, 99) == conversation()[2:]
    again.close(over=True)


def test_a_session_that_was_removed_leaves_nothing_to_deliver(tmp_path):
    spool = create_spool(tmp_path, "one", tmp_path / "gone", BROKER, TOPICS)
    write(spool.session, conversation())
    spool.close(complete=False)
    shutil.rmtree(tmp_path / "gone")
    (left,) = leftover_spools(tmp_path)
    outbox = DiskOutbox.of_earlier_run(left, EventMessages(TOPICS).late_messages)
    assert (len(outbox), outbox.head) == (0, None)


def test_room_is_made_at_the_expense_of_the_oldest(tmp_path):
    for name in ("a", "b", "c"):
        spool = create_spool(tmp_path, name, None, BROKER, TOPICS)
        write(spool.session, conversation())
        if name != "c":
            spool.close(complete=False)
    each = size(tmp_path) // 3
    assert make_room(tmp_path, 10 * each) == []
    assert make_room(tmp_path, 2 * each + 10) == ["a"]
    assert make_room(tmp_path, 0) == ["b"]  # "c" is in use


async def test_an_event_is_on_the_disk_before_it_is_published(tmp_path):
    recorder, seen = Recorder(tmp_path / "session", {}), []

    class Look(Collect):
        async def run(self, events):
            async for event in events:
                log = (tmp_path / "session" / EVENTS).read_text().splitlines()
                assert to_json(event) in log
                seen.append(event)

    with anyio.fail_after(20):
        await WriteAhead(recorder, Look(), [].append, lambda: None).run(given_out(conversation()))
    assert seen == conversation()


@pytest.mark.parametrize("at", range(10))
async def test_without_the_log_publishing_goes_on(at):
    said, collect = [], Collect()
    with anyio.fail_after(20):
        await WriteAhead(Broken(at), collect, said.append, lambda: None).run(given_out(conversation()))
    assert collect.events == conversation()
    assert said == ["broken: the disk is full; published events are no longer kept on disk"]


async def test_without_the_broker_the_log_goes_on(tmp_path):
    said = []
    with anyio.fail_after(20):
        recorder = Recorder(tmp_path / "session", {})
        await WriteAhead(recorder, Broken(2), said.append, lambda: None).run(given_out(conversation()))
    assert list(read_session(tmp_path / "session").events) == conversation()
    assert said == ["mqtt: the disk is full"]


def test_the_recording_that_is_delivered_need_not_have_a_unicode_name(tmp_path):
    session = tmp_path / os.fsdecode(b"gard\xe9")
    write(session, conversation())
    create_spool(tmp_path / "outbox", "one", session, BROKER, TOPICS).close(complete=False)
    (left,) = leftover_spools(tmp_path / "outbox")
    assert left.session == session
    assert list(left.unread()) == conversation()
    left.close(complete=True)


def test_a_disk_that_is_full_keeps_no_cursor_and_stops_nothing(tmp_path):
    spool = create_spool(tmp_path, "one", None, BROKER, TOPICS)
    (spool.folder / "cursor.part").symlink_to("/dev/full")
    spool.confirm(3)
    assert spool.confirmed == 3
    assert not (spool.folder / "cursor").exists()


def test_a_folder_that_cannot_be_locked_is_refused_and_left_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("tracker.mqtt.spool.FileLock.acquire", refuse_lock)
    with pytest.raises(SessionError, match=r"cannot be kept there \(No locks available\); set mqtt\.outbox_mb = 0"):
        create_spool(tmp_path, "one", None, BROKER, TOPICS)
    assert list(tmp_path.iterdir()) == []


def refuse_lock(*_: object) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


async def test_a_log_that_has_reached_its_bound_is_left_behind(tmp_path):
    said, collect, left = [], Collect(), iter([False, False, True])

    def check() -> None:
        if next(left):
            raise SinkError("the outbox is full")

    with anyio.fail_after(20):
        recorder = Recorder(tmp_path / "session", {})
        await WriteAhead(recorder, collect, said.append, check).run(given_out(conversation()))
    assert collect.events == conversation()
    assert len(said) == 1


async def test_what_never_came_to_the_disk_is_counted_as_dropped(tmp_path):
    spool = create_spool(tmp_path, "one", None, BROKER, TOPICS)
    outbox = DiskOutbox(spool, EventMessages(TOPICS).compose, window=2)
    events = Script().start().says(0, 1, "Speaker 1", "hello").end(1)
    write(spool.session, events[:1])
    for event in events:
        outbox.put(event, late=False)
    assert [event.seq for event in take(outbox, 99)] == [0]
    assert outbox.dropped == 3
    outbox.close(over=True)
