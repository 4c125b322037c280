import os
import pty
import sys
import termios

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sessions import Script, conversation, sessions
from tracker.dashboard.keyboard import keys_in, one_at_a_time, usable
from tracker.dashboard.screen import NAME_LENGTH, Ask, Choices, Playing, Screen, press
from tracker.dashboard.view import View, fold


def screen(events=None, choices=None, keys="live", playing=None) -> Screen:
    view = View()
    for event in conversation() if events is None else events:
        view = fold(view, event)
    return Screen(view, choices=choices or Choices(), keys=keys, playing=playing)


def pressed(start: Screen, *keys: str) -> tuple[Choices, list[Ask]]:
    asked = []
    for key in keys:
        choices, ask = press(start, key)
        asked += [ask] if ask else []
        start = Screen(start.view, start.status, choices, start.notice, start.keys, start.playing)
    return start.choices, asked


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
    assert keys_in(data) == keys


@given(st.binary(max_size=60))
def test_any_bytes_are_read_and_none_of_them_steers_the_terminal(data):
    assert all(key.isprintable() for key in keys_in(data))


names = st.sampled_from(
    ["up", "down", "page up", "page down", "left", "right", "home", "end", "enter", "escape", "backspace", "tab"]
)


@given(
    sessions(),
    st.lists(st.one_of(names, st.characters(codec="utf-8", exclude_categories=["C", "Z"])), max_size=30),
    st.sampled_from(["", "live", "replay", "watch"]),
)
def test_any_keys_leave_choices_that_can_be_drawn(events, keys, mode):
    start = screen(events, keys=mode, playing=Playing(0, 10, 1.0, False) if mode == "replay" else None)
    choices, asked = pressed(start, *keys)
    assert choices.selected is None or choices.selected in [row.turn for row in start.view.rows]
    assert choices.only in ("", *start.view.speakers)
    assert len(choices.typed) <= NAME_LENGTH
    if not mode:
        assert {ask.what for ask in asked} <= {"stop"}


def test_pausing_and_listening_again():
    assert pressed(screen(), "p")[1] == [Ask("pause")]
    paused = Script().start().pauses(1).events
    assert pressed(screen(paused), " ")[1] == [Ask("resume")]


def test_marking_with_and_without_a_note():
    assert pressed(screen(), "m")[1] == [Ask("mark")]
    assert pressed(screen(), "M", "h", "i", "q", "enter")[1] == [Ask("mark", text="hiq")]
    assert pressed(screen(), "M", "h", "escape")[1] == []


def test_a_speaker_is_renamed_through_a_turn():
    choices, asked = pressed(screen(), "r", "A", "n", "x", "backspace", "n", "a", "enter")
    assert asked == [Ask("rename", "Speaker 1", "Anna")]
    assert choices == Choices()
    assert pressed(screen(), "up", "up", "up", "r", "B", "enter")[1] == [Ask("rename", "Speaker 2", "B")]
    assert pressed(screen(), "r", " ", "enter")[1] == []


def test_scrolling_back_and_following_again():
    assert pressed(screen(), "up")[0].selected == 4
    assert pressed(screen(), "k", "k", "j")[0].selected == 4
    assert pressed(screen(), "k", "j")[0].selected is None
    assert pressed(screen(), "page up")[0].selected == 1
    assert pressed(screen(), "page up", "escape")[0].selected is None


def test_one_speaker_at_a_time():
    assert pressed(screen(), "f")[0].only == "Speaker 1"
    assert pressed(screen(), "f", "f", "f")[0].only == ""
    assert pressed(screen(), "2")[0].only == "Speaker 2"
    assert pressed(screen(), "2", "0")[0].only == ""


def test_details_help_and_leaving_them():
    assert pressed(screen(), "enter")[0].over == "detail"
    assert pressed(screen(), "enter", "q") == (Choices(), [])
    assert pressed(screen(), "?")[0].over == "help"
    assert pressed(screen(), "?", "escape", "q")[1] == [Ask("stop")]


def test_steering_a_replay():
    playing = Playing(0, 10, 1.0, False)
    start = screen(keys="replay", playing=playing)
    assert [ask.amount for ask in pressed(start, "left", "right", "+", "-")[1]] == [-5, 5, 2, 0.5]
    assert pressed(start, " ")[1] == [Ask("pause")]
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
            with one_at_a_time(stream) as keys, anyio.fail_after(10):
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
        assert not usable(stream)
    with open(terminal[1], closefd=False) as stream:
        assert not usable(stream)  # it is not the terminal that controls us
    os.close(terminal[1])
    assert sys.stdin is None or usable(sys.stdin) in (True, False)
