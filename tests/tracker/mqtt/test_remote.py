import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pictures.story import story, write_session
from tests.support.brokers import Mosquitto
from tests.support.sessions import Script, conversation, sessions
from tests.support.tmux import Tmux
from tracker.dashboard.view import View, fold
from tracker.events import to_json
from tracker.mqtt.remote import MAX_SESSIONS, RemoteSessions

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
