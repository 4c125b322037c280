"""Recorded sessions on the disk: found, checked, pruned; readable after a kill at any moment."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support import TOP
from tests.support.command import tracker
from tests.support.fakes import STARTED_AT
from tests.support.sessions import conversation, given_out
from tests.tracker.recordings.test_recorder import KILLED, ramp, record
from tracker.errors import SessionError
from tracker.events import TurnEnded
from tracker.recordings.format import EVENTS, STOP
from tracker.recordings.recorder import Recorder
from tracker.recordings.replay import read_session
from tracker.recordings.retention import Retention, expired_kinds, find_sessions, prune, verify

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)


@pytest.fixture
async def session(tmp_path):
    folder = tmp_path / "sessions" / "one"
    await record(folder, conversation(), [ramp(index * 320, 320) for index in range(50)])
    return folder


def faults(folder: Path) -> list[str]:
    (found,) = find_sessions(folder)
    return verify(found)


async def test_a_whole_session_has_no_fault(session):
    assert [found.folder for found in find_sessions(session.parent)] == [session]
    assert faults(session) == []


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda folder: (folder / "audio-0.flac").unlink(), "audio-0.flac: cannot be read"),
        (lambda folder: (folder / "audio-0.flac").write_bytes(b"noise" * 9999), "audio-0.flac: cannot be read"),
        (lambda folder: cut_out(folder / EVENTS, 3), "holds 9 whole events, but stop.json says 10"),
        (lambda folder: [cut_out(folder / EVENTS, 3), (folder / STOP).unlink()], "event 3 is missing"),
        (lambda folder: (folder / STOP).write_text("{"), "stop.json: "),
        (lambda folder: (folder / "pruned.json").write_text("{"), "pruned.json: is damaged"),
    ],
)
async def test_damage_is_found(session, damage, fault):
    damage(session)
    (said,) = faults(session)
    assert fault in said


def cut_out(path: Path, line: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:line] + lines[line + 1 :]))


async def test_a_recording_that_was_cut_off_is_no_damage(session):
    (session / STOP).unlink()
    with (session / EVENTS).open("ab") as log:
        log.write(b'{"torn')
    (found,) = find_sessions(session)
    assert (found.state, verify(found)) == ("cut off", [])


async def test_each_kind_goes_when_its_time_is_over(session):
    retention = Retention(audio=10, text=20, events=30)

    def at(days: float):
        found = next(find_sessions(session))
        kinds = expired_kinds(found, retention, STARTED_AT + days * DAY)
        prune(found, kinds)
        return kinds

    assert at(9.9) == []
    assert at(10) == ["audio"]
    assert not list(session.glob("*.flac"))
    assert at(20) == ["text"]
    kept = read_session(session)
    assert [event.text for event in kept.events if isinstance(event, TurnEnded)] == [""] * 3
    assert [event.emotion for event in kept.events if isinstance(event, TurnEnded)] == ["neutral", "surprise", "joy"]
    assert "hello" not in (session / EVENTS).read_text().lower()
    assert faults(session) == []
    assert next(find_sessions(session)).pruned == ("audio", "text")
    assert at(25) == []
    assert at(30) == ["events"]
    assert not session.exists()


async def test_nothing_goes_where_no_time_is_set(session):
    assert expired_kinds(next(find_sessions(session)), Retention(), datetime.now(UTC)) == []


async def test_what_may_still_be_recorded_is_left_alone(session):
    (session / STOP).unlink()
    found, now = next(find_sessions(session)), datetime.now(UTC)
    assert expired_kinds(found, Retention(audio=1), now) == []
    assert expired_kinds(found, Retention(audio=1), now + 2 * DAY) == ["audio"]


async def test_words_that_shall_not_be_kept_never_come_to_the_disk(tmp_path):
    recorder = Recorder(tmp_path / "one", {}, text=False)
    await recorder.run(given_out(conversation()))
    assert "hello" not in (tmp_path / "one" / EVENTS).read_text().lower()
    assert faults(tmp_path / "one") == []


async def test_one_that_cannot_be_pruned_stops_no_other(session):
    top, audio = session.parent.parent, ("sessions", "prune", "--set", "record.audio_days=1")
    await record(session.parent / "a", conversation())
    (session.parent / "a" / "audio-0.flac").mkdir()
    done = tracker(*audio, folder=top)
    assert (done.code, done.said) == (5, "error: 1 of the sessions could not be pruned\n")
    assert done.out == "sessions/a: cannot be pruned (Is a directory)\nsessions/one: audio is removed\n"


def test_where_there_is_nothing(tmp_path):
    assert list(find_sessions(tmp_path)) == []
    with pytest.raises(SessionError, match="there is no such folder"):
        list(find_sessions(tmp_path / "none"))


async def test_from_the_command_line(session):
    top = session.parent.parent
    listed = tracker("sessions", "list", folder=top)
    assert listed.code == 0
    assert "completed" in listed.out
    shown = tracker("sessions", "show", str(session), folder=top)
    assert "Speaker 1 2 turns" in shown.out
    assert tracker("sessions", "verify", folder=top).code == 0
    prune_audio = ("sessions", "prune", "--set", "record.audio_days=1")
    assert tracker(*prune_audio, "--dry-run", folder=top).out == "sessions/one: audio would be removed\n"
    assert tracker(*prune_audio, folder=top).out == "sessions/one: audio is removed\n"
    assert tracker("sessions", "verify", folder=top).code == 0
    (session / EVENTS).write_text("{}\n")
    broken = tracker("sessions", "verify", folder=top)
    assert (broken.code, "error: 1 of the sessions are damaged" in broken.said) == (5, True)


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment_it_is_readable(seed, tmp_path):
    """Whatever was in the log when the process died is there; of the audio, at most the last block is not."""
    script = KILLED.replace("os.kill(os.getpid(), signal.SIGKILL)", "await anyio.sleep_forever()").replace(
        "range(9)", "range(300)"
    )
    environment = os.environ | {"PYTHONPATH": str(TOP)}
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "one")], env=environment)
    log, after = tmp_path / "one" / EVENTS, random.Random(seed).randrange(1, 500)
    deadline = time.monotonic() + 60
    while not log.exists() or log.read_bytes().count(b"\n") < after:
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    (found,) = find_sessions(tmp_path / "one")
    assert verify(found) == []
    assert found.session
    assert len(found.session.events) == log.read_bytes().count(b"\n") >= after
