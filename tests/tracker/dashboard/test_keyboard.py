import os
import pty
import sys
import termios

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sessions import Script, conversation, sessions
from tracker.dashboard.keyboard import can_read_keys, parse_keys, raw_keys
from tracker.dashboard.screen import ChangeSpeed, Choices, KeyRequest, Playback, Screen, Seek, handle_key
from tracker.dashboard.view import View, fold
from tracker.runtime.control import MAX_NAME_LENGTH, MAX_NOTE_LENGTH, Mark, Pause, Rename, Resume, Stop


def screen(events=None, choices=None, mode="live", playback=None) -> Screen:
    view = View()
    for event in conversation() if events is None else events:
        view = fold(view, event)
    return Screen(view, choices=choices or Choices(), mode=mode, playback=playback)


def pressed(start: Screen, *keys: str) -> tuple[Choices, list[KeyRequest]]:
    requests = []
    for key in keys:
        choices, request = handle_key(start, key)
        requests += [request] if request else []
        start = Screen(start.view, start.status, choices, start.notice, start.mode, start.playback)
    return start.choices, requests


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"p", ["p"]),
        (b"\x1b[A\x1b[B", ["up", "down"]),
        (b"\x1bOC", ["right"]),
        (b"\x1b[5~j", ["page up", "j"]),
        (b"\x1b", ["escape"]),
        (b"\x1b[200~", []),
        (b"\r\n\t\x7f", ["enter", "enter", "tab", "backspace"]),
        ("é漢".encode(), ["é", "漢"]),
        (b"\x00\x01\xff", []),
    ],
)
def test_bytes_are_keys(data, keys):
    assert parse_keys(data) == keys


@given(st.binary(max_size=60))
def test_any_bytes_are_read_and_none_of_them_steers_the_terminal(data):
    assert all(key.isprintable() for key in parse_keys(data))


names = st.sampled_from(
    ["up", "down", "page up", "page down", "left", "right", "home", "end", "enter", "escape", "backspace", "tab"]
)


@given(
    sessions(),
    st.lists(st.one_of(names, st.characters(codec="utf-8", exclude_categories=["C", "Z"])), max_size=30),
    st.sampled_from(["", "live", "replay", "watch"]),
)
def test_any_keys_leave_choices_that_can_be_drawn(events, keys, mode):
    start = screen(events, mode=mode, playback=Playback(0, 10, 1.0, False) if mode == "replay" else None)
    choices, requests = pressed(start, *keys)
    assert choices.selected is None or choices.selected in [row.turn for row in start.view.rows]
    assert choices.speaker_filter in ("", *start.view.speaker_ids)
    assert len(choices.typed) <= (MAX_NAME_LENGTH if choices.overlay == "rename" else MAX_NOTE_LENGTH)
    if not mode:
        assert set(requests) <= {Stop()}


def test_pausing_and_listening_again():
    assert pressed(screen(), "p")[1] == [Pause()]
    paused = Script().start().pauses(1).events
    assert pressed(screen(paused), " ")[1] == [Resume()]


def test_marking_with_and_without_a_note():
    assert pressed(screen(), "m")[1] == [Mark()]
    assert pressed(screen(), "M", "h", "i", "q", "enter")[1] == [Mark("hiq")]
    assert pressed(screen(), "M", "h", "escape")[1] == []


def test_a_speaker_is_renamed_through_a_turn():
    choices, requests = pressed(screen(), "r", "A", "n", "x", "backspace", "n", "a", "enter")
    assert requests == [Rename("Speaker 1", "Anna")]
    assert choices == Choices()
    assert pressed(screen(), "up", "up", "up", "r", "B", "enter")[1] == [Rename("Speaker 2", "B")]
    assert pressed(screen(), "r", " ", "enter")[1] == []


def test_a_turn_whose_speaker_is_not_known_yet_renames_nobody():
    begun = screen(conversation()[:2])
    assert pressed(begun, "up", "r") == (Choices(selected=1), [])


def test_scrolling_back_and_following_again():
    assert pressed(screen(), "up")[0].selected == 4
    assert pressed(screen(), "k", "k", "j")[0].selected == 4
    assert pressed(screen(), "k", "j")[0].selected is None
    assert pressed(screen(), "page up")[0].selected == 1
    assert pressed(screen(), "page up", "escape")[0].selected is None


def test_one_speaker_at_a_time():
    assert pressed(screen(), "f")[0].speaker_filter == "Speaker 1"
    assert pressed(screen(), "f", "f", "f")[0].speaker_filter == ""
    assert pressed(screen(), "2")[0].speaker_filter == "Speaker 2"
    assert pressed(screen(), "2", "0")[0].speaker_filter == ""


def test_details_help_and_leaving_them():
    assert pressed(screen(), "enter")[0].overlay == "detail"
    assert pressed(screen(), "enter", "q") == (Choices(), [])
    assert pressed(screen(), "?")[0].overlay == "help"
    assert pressed(screen(), "?", "escape", "q")[1] == [Stop()]


def test_steering_a_replay():
    playback = Playback(0, 10, 1.0, False)
    start = screen(mode="replay", playback=playback)
    assert pressed(start, "left", "right", "+", "-")[1] == [Seek(-5), Seek(5), ChangeSpeed(2), ChangeSpeed(0.5)]
    assert pressed(start, " ")[1] == [Pause()]
    assert pressed(start, "m", "r")[1] == []


@pytest.fixture
def terminal():
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


@pytest.mark.anyio
@pytest.mark.parametrize("crash", [False, True])
async def test_a_real_terminal_gives_keys_and_is_restored(crash, terminal):
    ours, theirs = terminal
    before = termios.tcgetattr(theirs)
    with open(theirs) as stream:
        read = []
        try:
            with raw_keys(stream) as keys, anyio.fail_after(10):
                assert not termios.tcgetattr(theirs)[3] & (termios.ECHO | termios.ICANON)
                os.write(ours, b"p\x1b[A")
                async for key in keys():
                    read.append(key)
                    if key == "up":
                        break
                if crash:
                    raise RuntimeError("oh")
        except RuntimeError:
            assert crash
        assert read == ["p", "up"]
        assert termios.tcgetattr(theirs) == before


def test_keys_are_only_read_from_a_terminal_in_whose_foreground_we_are(tmp_path, terminal):
    path = tmp_path / "no terminal"
    path.touch()
    with path.open() as stream:
        assert not can_read_keys(stream)
    with open(terminal[1], closefd=False) as stream:
        assert not can_read_keys(stream)  # it is not the terminal that controls us
    os.close(terminal[1])
    assert sys.stdin is None or can_read_keys(sys.stdin) in (True, False)
