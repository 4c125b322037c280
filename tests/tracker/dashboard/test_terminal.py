import io
import re

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tests.support.fakes import FakeClock
from tests.support.sessions import Script, conversation, given_out, sessions
from tracker.dashboard import view as views
from tracker.dashboard.final import FinalScreen
from tracker.dashboard.terminal import Terminal
from tracker.dashboard.view import View, fold, with_note
from tracker.errors import SinkError
from tracker.events import TurnEnded, TurnSkipped, TurnStarted
from tracker.runtime.clock import NS_PER_S
from tracker.sinks.lines import line_of
from tracker.sinks.text import clock_time

pytestmark = pytest.mark.anyio

NOTICE = "A machine listens."
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def console(width=80, height=24, encoding="utf-8", **options) -> Console:
    file = io.TextIOWrapper(io.BytesIO(), encoding, write_through=True, newline="")
    return Console(file=file, width=width, height=height, _environ={}, **options)


def written(drawn: Console) -> str:
    return drawn.file.buffer.getvalue().decode(drawn.encoding)


def seen(events) -> View:
    view = View()
    for event in events:
        view = fold(view, event)
    return view


def drawn(view: View, height: int | None = None, **options) -> list[str]:
    target = console(**options)
    target.print(FinalScreen(view, NOTICE, height))
    return [line.rstrip() for line in written(target).splitlines()]


@given(sessions())
def test_the_view_counts_what_happened(events):
    view = seen(events)
    assert view.judged == sum(isinstance(event, TurnEnded) for event in events)
    assert view.unsure == sum(isinstance(event, TurnEnded) and event.abstained for event in events)
    assert view.skipped == sum(isinstance(event, TurnSkipped) for event in events)
    assert [row.turn for row in view.rows] == [event.turn for event in events if isinstance(event, TurnStarted)]
    heard = {row.speaker for row in view.rows} - {""}
    assert heard == {speaker.id for speaker in view.speakers if speaker.turns}


def test_turns_stand_in_the_order_of_their_start():
    script = Script().start(channels=2)
    first, second = script.opens(0, channel=0), script.opens(1, channel=1)
    script.says(1, 2, "Speaker 2", "quick", turn=second, channel=1)
    view = seen(script.events)
    assert [(row.turn, row.state) for row in view.rows] == [(first, "speaking"), (second, "judged")]


def test_only_so_many_turns_are_remembered(monkeypatch):
    monkeypatch.setattr(views, "MAX_ROWS", 3)
    script = Script().start()
    for second in range(5):
        script.says(second, second + 1, "Speaker 1", f"turn {second + 1}")
    view = seen(script.events)
    assert ([row.turn for row in view.rows], view.forgotten, view.judged) == ([3, 4, 5], 2, 5)
    assert any("2 earlier turns" in line for line in drawn(view))


@pytest.mark.parametrize(
    ("ns", "text"), [(0, "0:00.0"), (7_390_000_000, "0:07.3"), (61 * NS_PER_S, "1:01.0"), (3723 * 10**9, "1:02:03.0")]
)
def test_media_time_as_people_read_it(ns, text):
    assert clock_time(ns) == text


def test_the_whole_conversation():
    assert drawn(with_note(seen(conversation()), "mqtt: the broker is away")) == [
        "telephone.wav, 1 channel · emotion-tracker 0.1.0",
        "transcriber whisper-tiny.en · adapter meld-1",
        NOTICE,
        "─" * 80,
        "0:00.4 Speaker 1 Hello?                                 neutral    ██████░░  71%",
        "0:01.5 Speaker 2 Oh, hello. I didn't know you were      surprise   █████░░░  58%",
        "                 there.",
        "0:03.9 Speaker 1 Neither did I. (unsure: turn under 0.8 joy?       ███░░░░░  36%",
        "                 s)",
        "0:05.0           skipped (no speech: no words",
        "                 recognised)",
        "─" * 80,
        "! mqtt: the broker is away",
        "completed after 0:06.5, 4 turns, 3 judged, 1 skipped",
    ]


def test_a_turn_that_goes_on():
    script = Script().start(channels=2, live=True)
    script.opens(2, channel=1)
    lines = drawn(seen(script.events))
    assert lines[0].startswith("telephone.wav, 2 channels, live")
    assert lines[4].split() == ["0:02.0", "channel", "2", "speaking", "…"]
    assert lines[-1] == "0 judged · 0 unsure · 0 skipped"


def test_before_the_session_and_after_a_failed_one():
    assert drawn(View())[0] == "starting …"
    view = seen(Script().start().end(3, outcome="failed", error="the microphone was unplugged", dropped={"audio": 2}))
    assert drawn(view, width=200)[-1] == (
        "failed after 0:03.0, 0 turns, 0 judged, 0 skipped, 2 audio dropped: the microphone was unplugged"
    )


@settings(max_examples=40)
@given(sessions(), st.integers(40, 200), st.integers(8, 60))
def test_the_picture_fits_the_terminal_and_ends_with_the_latest_turn(events, width, height):
    view = seen(events[:-1])
    lines = drawn(view, width=width, height=height)
    assert len(lines) <= height
    assert lines[-1] == f"{view.judged} judged · {view.unsure} unsure · {view.skipped} skipped"


def test_without_colour_nothing_is_missing():
    view = seen(conversation())
    coloured = "\n".join(drawn(view, force_terminal=True, color_system="256"))
    assert "\x1b[" in coloured
    assert [line.rstrip() for line in CONTROLS.sub("", coloured).splitlines()] == drawn(view)
    plain = "\n".join(drawn(view, force_terminal=True, color_system="256", no_color=True))
    assert not re.search(r"\x1b\[[0-9;]*3\d", plain)


def test_ascii_terminals_get_ascii():
    lines = drawn(seen(conversation()), encoding="ascii")
    assert "######.." in lines[4]
    assert all(line.isascii() for line in lines)


def test_what_is_said_cannot_steer_the_terminal():
    script = Script().start("bad\x1b]0;name\x07.wav").says(0, 1, "Speaker\x1b[2J", "\x1b[31mred\r\nalert \x9b5n")
    events = script.end(1, error="bad\x1b[0m")
    assert "\x1b" not in "".join(drawn(seen(events)))
    for event in events:
        line = line_of(event) or ""
        assert line.isprintable()


def test_plain_lines():
    assert [line for event in conversation() if (line := line_of(event))] == [
        "listening to telephone.wav, 1 channel",
        "0:00.4-0:01.2  Speaker 1  [neutral 71%]  Hello?",
        "0:01.5-0:03.4  Speaker 2  [surprise 58%]  Oh, hello. I didn't know you were there.",
        "0:03.9-0:04.4  Speaker 1  [unsure, perhaps joy 36% (turn under 0.8 s)]  Neither did I.",
        "0:05.0-0:05.6  skipped  (no speech: no words recognised)",
        "completed after 0:06.5, 4 turns, 3 judged, 1 skipped",
    ]


async def show(target: Console, events) -> str:
    with anyio.fail_after(20):
        await Terminal(target, FakeClock(), 8, NOTICE).run(given_out(events))
    return written(target)


@pytest.mark.parametrize("options", [{}, {"force_terminal": True, "color_system": "256", "_environ": {"TERM": "dumb"}}])
async def test_where_there_is_no_terminal_each_turn_is_a_line(options):
    file = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    text = await show(Console(file=file, width=40, **options), conversation())
    assert text.splitlines() == [line for event in conversation() if (line := line_of(event))]


async def test_the_terminal_is_given_back_with_the_conversation_on_it():
    text = await show(console(height=8, force_terminal=True, color_system="256"), conversation())
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor: hidden, shown again
    left = CONTROLS.sub("", text.rpartition("\x1b[?25h")[2])
    assert "Hello?" in left
    assert left.rstrip().endswith("completed after 0:06.5, 4 turns, 3 judged, 1 skipped")


async def test_drawings_are_paced():
    class Frozen(FakeClock):
        def __init__(self) -> None:
            super().__init__()
            self.waits: list[int] = []
            self.drawn = anyio.Event()

        def now_ns(self) -> int:
            return self.now

        async def sleep_until_ns(self, moment_ns: int) -> None:
            self.waits.append(moment_ns - self.now)
            self.drawn.set()
            await anyio.sleep_forever()

    clock = Frozen()

    async def events():
        for event in conversation():
            yield event
            await clock.drawn.wait()

    with anyio.fail_after(20):
        await Terminal(console(force_terminal=True), clock, 8).run(events())
    assert clock.waits == [NS_PER_S // 8]


async def test_sentences_are_shown_before_during_and_after():
    target = console(force_terminal=True)
    terminal = Terminal(target, FakeClock(), 8)
    terminal.say("loading [bold]models")

    async def events():
        for event in conversation():
            yield event
            terminal.say("mqtt: the broker is away")
            await anyio.wait_all_tasks_blocked()

    with anyio.fail_after(20):
        await terminal.run(events())
    terminal.say("bye")
    text = CONTROLS.sub("", written(target))
    assert "loading [bold]models" in text
    assert "! mqtt: the broker is away" in text
    assert text.endswith("bye\n")


class Gone(io.StringIO):
    """A terminal whose window was closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("terminal", [True, False])
async def test_a_terminal_that_has_gone_is_said(terminal):
    target = Console(file=Gone(), force_terminal=terminal, width=80, height=24, _environ={})
    with anyio.fail_after(20), pytest.raises(SinkError, match="cannot be written: Input/output error"):
        await Terminal(target, FakeClock(), 8).run(given_out(conversation()))


async def test_it_can_be_stopped_at_any_time():
    target = console(force_terminal=True)

    async def endless():
        for event in conversation()[:3]:
            yield event
        await anyio.sleep_forever()

    with anyio.move_on_after(0.05):
        await Terminal(target, FakeClock(), 8).run(endless())
    assert written(target).count("\x1b[?25h") == 1
    assert "Hello?" in CONTROLS.sub("", written(target).rpartition("\x1b[?25h")[2])


def test_a_line_has_sounds_and_close_calls():
    script = Script().start().says(0, 2, "A", "Well.", sounds=["laughter"], mixed=["joy", "neutral"])
    _, first, second, _ = (line_of(one) for one in script.says(3, 4, "A", "", sounds=["crying"]).end(5) if line_of(one))
    assert str(first).endswith("[joy or neutral 60%]  Well. (laughter)")
    assert str(second).endswith("[neutral 60%]  (crying)")
