"""Arranges the panels: one drawing of the whole dashboard for any size of terminal.

People come first: the machine, its latencies and models are shown where the user asks for them.
"""

from __future__ import annotations

from rich.text import Text

from tracker.dashboard import conversation, panels
from tracker.dashboard.blocks import Lines, fit, justify, pane, side_by_side, title
from tracker.dashboard.screen import Screen
from tracker.sinks.palette import Glyphs
from tracker.sinks.text import clock_time

_SIDE_FROM = 110
_WIDE_FROM = 160
_BANNER_FROM = 34

KEYS = {
    "live": "p pause  m mark  r rename  f filter  j/k scroll  enter details  ? help  q quit",
    "replay": "space pause  left/right seek  +/- speed  j/k scroll  enter details  ? help  q quit",
    "watch": "n next session  f filter  j/k scroll  enter details  ? help  q quit",
    "": "",
}


def draw(screen: Screen, width: int, height: int, glyphs: Glyphs) -> Lines:
    """The dashboard: exactly ``height`` lines of exactly ``width`` cells.

    Args:
        screen: What is drawn.
        width: At least 1.
        height: At least 1.
        glyphs: The signs that the terminal has.
    """
    head = panels.head(screen, width, glyphs)
    foot = _foot(screen, width, glyphs)
    if height < len(head) + len(foot) + 3:
        head, foot = head[:1], foot[-1:]
    room = max(0, height - len(head) - len(foot))
    middle = _two_columns if width >= _SIDE_FROM and room >= 16 else _one_column
    lines = [*head, *(middle(screen, width, room, glyphs) if room else []), *foot]
    return pane(lines[:height], width, height, glyphs)


def _one_column(screen: Screen, width: int, room: int, glyphs: Glyphs) -> Lines:
    """The conversation above, speakers and status below."""
    below: Lines = []
    if room >= 12 and screen.choices.overlay not in ("help", "detail"):
        count = len(screen.view.speakers)
        wanted = 3 * count + 2 if screen.view.has_valence else count + 1
        speakers = panels.speakers(screen, width, max(2, min(wanted, room // 3)), glyphs)
        below = [title("speakers", width, glyphs), *speakers, *_summary(screen, width, glyphs)]
    room_above = max(1, room - len(below) - 1)
    return [*_main_pane(screen, width, room_above, glyphs), *below]


def _summary(screen: Screen, width: int, glyphs: Glyphs) -> Lines:
    """The status in one line; in two where the machine is looked at, or something is lost."""
    status = screen.status
    dropped = status.dropped + status.lost_samples
    overload = status.metrics.overload if status.metrics else "normal"
    outputs = [f"mqtt {status.broker or 'off'}", f"rec {status.recorder or 'off'}"]
    if status.failed_sinks:
        outputs.append(f"{glyphs.no} left out: {', '.join(status.failed_sinks)}")
    judged = justify(panels.modalities(screen, glyphs), Text(glyphs.dot.join(outputs)), width, glyphs)
    parts = [panels.describe_overload(overload)] if overload != "normal" else []
    if screen.choices.machine:
        parts += [panels.latency_line(screen), f"waiting {status.waiting}"]
    if screen.choices.machine or dropped:
        parts.append(f"dropped {dropped}")
    return [title("judged by", width, glyphs), judged, *([fit(glyphs.dot.join(parts), width, glyphs)] if parts else [])]


def _two_columns(screen: Screen, width: int, room: int, glyphs: Glyphs) -> Lines:
    """The conversation on the left, everything else on the right."""
    side = 74 if width >= _WIDE_FROM else 44
    left = width - side - 3
    banner = panels.banner(screen, width, glyphs) if room >= _BANNER_FROM - 6 else []
    room -= len(banner)
    right: Lines = []

    def add(name: str, lines: Lines) -> None:
        if lines and len(right) + len(lines) < room:
            right.extend([title(name, side, glyphs), *lines])

    people = len(screen.view.speakers)
    count = 3 * people + 5 if screen.view.has_valence else 2 * people + 2
    add("speakers", panels.speakers(screen, side, min(count, max(3, room - 18)), glyphs))
    add("judged by", [panels.modalities(screen, glyphs)])
    add("connections", panels.connections(screen.status, glyphs))
    if screen.choices.machine:
        add("machine", panels.machine(screen.status))
        add("latency", panels.latency(screen, side, glyphs))
        add("models", panels.models(screen))
    if screen.choices.overlay != "detail":
        add("last judged turn", conversation.detail(screen, side, glyphs)[1:] if screen.view.judged else [])
    marks = [Text(f"{clock_time(mark.at_ns)}  {mark.sentence}") for mark in screen.view.marks[-5:]]
    add("moments", marks)
    return [*banner, *side_by_side(_main_pane(screen, left, room - 1, glyphs), pane(right, side, room, glyphs), glyphs)]


def _main_pane(screen: Screen, width: int, height: int, glyphs: Glyphs) -> Lines:
    """The conversation, or the overlay that replaces it, under its title."""
    match screen.choices.overlay:
        case "help":
            name, lines = "help (esc: back)", conversation.help_lines(screen, width, glyphs)
        case "detail":
            name, lines = "one turn (esc: back)", conversation.detail(screen, width, glyphs)
        case _:
            name = "conversation"
            if screen.choices.speaker_filter:
                name += f", {screen.view.name_of(screen.choices.speaker_filter)} only (0: all)"
            if screen.choices.selected is not None:
                name += ", scrolled back (esc: follow)"
            lines = conversation.conversation(screen, width, height, glyphs)
    return [title(name, width, glyphs), *pane(lines, width, height, glyphs)]


def _foot(screen: Screen, width: int, glyphs: Glyphs) -> Lines:
    """Notes to the user, counters, keys."""
    lines = [fit(Text(f"! {note}", "bold yellow"), width, glyphs) for note in screen.view.notes[-2:]]
    if screen.playback:
        lines.append(_time_bar(screen, width, glyphs))
    lines.append(justify(panels.counters(screen, glyphs), panels.speaking(screen, glyphs), width, glyphs))
    choices = screen.choices
    if choices.overlay == "rename":
        prompt = f"name of {choices.rename_speaker}: {choices.typed}_ (enter, esc)"
        lines.append(fit(Text(prompt, "reverse"), width, glyphs))
    elif choices.overlay == "mark":
        lines.append(fit(Text(f"note: {choices.typed}_ (enter, esc)", "reverse"), width, glyphs))
    elif screen.mode:
        lines.append(fit(Text(KEYS[screen.mode], "dim"), width, glyphs))
    return lines


def _time_bar(screen: Screen, width: int, glyphs: Glyphs) -> Text:
    """The position of a replay."""
    assert screen.playback
    position, length = screen.playback.position_ns, max(1, screen.playback.length_ns)
    times = f" {clock_time(position)} / {clock_time(length)}"
    cells = max(1, width - len(times))
    full = min(cells, position * cells // length)
    return Text.assemble((glyphs.full * full, "bold"), (glyphs.rest * (cells - full), "dim"), times)
