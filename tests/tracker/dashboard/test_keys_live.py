"""Real keys in a real terminal, while a telephone call is heard as if live; the recorded session proves each."""

import sys

import pytest

from tests.support.command import telephone
from tests.support.tmux import Tmux
from tracker.events import ListeningPaused, ListeningResumed, MomentMarked, SessionEnded, SpeakerRenamed
from tracker.recordings.replay import read_session

pytestmark = pytest.mark.models

LOADED_S = 150
TRACKER = (sys.executable, "-m", "tracker")


def run(folder, *more):
    kept = ("--record", "kept", "--set", "record.text=true", "--set", "record.audio=true")
    return Tmux(*TRACKER, "run", str(telephone()), "--mqtt", "off", *kept, *more, folder=folder)


def test_pause_rename_mark_detail_and_quit(tmp_path):
    with run(tmp_path) as terminal:
        terminal.until("LISTENING", "p pause", within_s=LOADED_S)
        assert terminal.in_alternate_screen()
        terminal.until("Speaker 1", "Hello", within_s=LOADED_S)
        terminal.press("p")
        paused = terminal.until("PAUSED, nothing is heard")
        terminal.press("r")
        terminal.until("name of Speaker 1:")
        terminal.press("A", "n", "n", "a", "Enter")
        terminal.until("Anna")
        terminal.press("Up", "Enter")
        terminal.until("surprise", "sentiment", "endpoint", "transcribe")
        terminal.press("Escape", "Escape", "M")
        terminal.until("note: _")
        terminal.press("o", "h", "Enter")
        terminal.until("marked: oh")
        terminal.resize(130, 40)
        terminal.until("judged by", "connections", "Anna")
        terminal.press("t")
        terminal.until("latency", "decision to event")
        terminal.resize(80, 24)
        assert "PAUSED" in paused
        terminal.press("p")
        terminal.until("LISTENING")
        terminal.press("q")
        left = terminal.until("left with 0", within_s=LOADED_S)
        terminal.until("echo")
        assert "-echo" not in terminal.screen()
        assert not terminal.in_alternate_screen()
        assert "stopped after" in left
        assert "Anna" in left
    kept = read_session(tmp_path / "kept")
    kinds = [type(event) for event in kept.events]
    for kind in (ListeningPaused, SpeakerRenamed, MomentMarked, ListeningResumed):
        assert kind in kinds
    (renamed,) = (event for event in kept.events if isinstance(event, SpeakerRenamed))
    assert (renamed.speaker, renamed.name) == ("Speaker 1", "Anna")
    last = kept.events[-1]
    assert isinstance(last, SessionEnded)
    assert last.outcome == "stopped"
    assert last.turns_started == last.turns_ended + last.turns_skipped


def test_a_crash_gives_the_terminal_back(tmp_path):
    code = (
        "import anyio, sys; from rich.console import Console; from tracker.dashboard.terminal import Terminal;"
        "from tracker.runtime.clock import SystemClock; t = Terminal(Console(), SystemClock(), 8, '', sys.stdin);"
        "t.read_keys('live', print)\n"
        "async def events():\n"
        "    await anyio.sleep(1)\n"
        "    raise RuntimeError('oh')\n"
        "    yield\n"
        "anyio.run(t.run, events())"
    )
    with Tmux(sys.executable, "-c", code, folder=tmp_path) as terminal:
        terminal.until("q quit")
        assert terminal.in_alternate_screen()
        screen = terminal.until("RuntimeError: oh", "left with 1", "echo")
        assert "-echo" not in screen
        assert not terminal.in_alternate_screen()
