"""Where the parts go: one drawing of the whole dashboard for any size of terminal."""

from __future__ import annotations

from rich.text import Text

from tracker.dashboard import panels, talk
from tracker.dashboard.boxes import Lines, beside, ends, fit, pane, title
from tracker.dashboard.palette import Glyphs
from tracker.dashboard.screen import Screen
from tracker.dashboard.words import clock_time, overload_words

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
        screen: What is shown.
        width: At least 1.
        height: At least 1.
        glyphs: The signs that the terminal has.
    """
    head = panels.head(screen, width, glyphs)
    foot = _foot(screen, width, glyphs)
    if height < len(head) + len(foot) + 3:
        head, foot = head[:1], foot[-1:]
    room = max(0, height - len(head) - len(foot))
    middle = _beside if width >= _SIDE_FROM and room >= 16 else _below
    lines = [*head, *(middle(screen, width, room, glyphs) if room else []), *foot]
    return pane(lines[:height], width, height, glyphs)


def _below(screen: Screen, width: int, room: int, glyphs: Glyphs) -> Lines:
    """Conversation above, speakers and machine below."""
    below: Lines = []
    if room >= 12 and screen.choices.over not in ("help", "detail"):
        count = len(screen.view.people)
        people = panels.people(screen, width, max(2, min(count + 1, room // 3)), glyphs)
        below = [title("speakers", width, glyphs), *people, *_summary(screen, width, glyphs)]
    talk_room = max(1, room - len(below) - 1)
    return [*_talk(screen, width, talk_room, glyphs), *below]


def _summary(screen: Screen, width: int, glyphs: Glyphs) -> Lines:
    """The machine in two lines."""
    status = screen.status
    parts = [
        panels.latency_line(screen),
        f"waiting {status.waiting}",
        f"dropped {status.dropped + status.lost_samples}",
    ]
    if status.metrics and status.metrics.overload != "normal":
        parts.insert(0, overload_words(status.metrics.overload))
    outputs = [f"mqtt {status.broker or 'off'}", f"rec {status.recorder or 'off'}"]
    if status.failed_sinks:
        outputs.append(f"{glyphs.no} left out: {', '.join(status.failed_sinks)}")
    last = ends(panels.modalities(screen, glyphs), Text(glyphs.dot.join(outputs)), width, glyphs)
    return [title("machine", width, glyphs), fit(glyphs.dot.join(parts), width, glyphs), last]


def _beside(screen: Screen, width: int, room: int, glyphs: Glyphs) -> Lines:
    """Conversation on the left, everything else on the right."""
    side = 74 if width >= _WIDE_FROM else 44
    left = width - side - 3
    banner = panels.banner(screen, width, glyphs) if room >= _BANNER_FROM - 6 else []
    room -= len(banner)
    right: Lines = []

    def add(name: str, lines: Lines) -> None:
        if lines and len(right) + len(lines) < room:
            right.extend([title(name, side, glyphs), *lines])

    count = 2 * len(screen.view.people) + 2
    add("speakers", panels.people(screen, side, min(count, max(3, room - 18)), glyphs))
    add("judged by", [panels.modalities(screen, glyphs)])
    add("machine", panels.machine(screen.status, glyphs))
    add("latency", panels.latency(screen, side, glyphs))
    if screen.choices.over != "detail":
        add("last judged turn", talk.detail(screen, side, glyphs)[1:] if screen.view.judged else [])
    add("models", panels.models(screen))
    marks = [Text(f"{clock_time(mark.at_ns)}  {mark.sentence}") for mark in screen.view.marks[-5:]]
    add("moments", marks)
    return [*banner, *beside(_talk(screen, left, room - 1, glyphs), pane(right, side, room, glyphs), glyphs)]


def _talk(screen: Screen, width: int, height: int, glyphs: Glyphs) -> Lines:
    """The conversation under its title, or what lies over it."""
    match screen.choices.over:
        case "help":
            name, lines = "help (esc: back)", talk.help_lines(screen, width, glyphs)
        case "detail":
            name, lines = "one turn (esc: back)", talk.detail(screen, width, glyphs)
        case _:
            name = "conversation"
            if screen.choices.only:
                name += f", {screen.view.name_of(screen.choices.only)} only (0: all)"
            if screen.choices.selected is not None:
                name += ", scrolled back (esc: follow)"
            lines = talk.conversation(screen, width, height, glyphs)
    return [title(name, width, glyphs), *pane(lines, width, height, glyphs)]


def _foot(screen: Screen, width: int, glyphs: Glyphs) -> Lines:
    """Sentences to the user, counters, keys."""
    lines = [fit(Text(f"! {note}", "bold yellow"), width, glyphs) for note in screen.view.notes[-2:]]
    if screen.playing:
        lines.append(_time_bar(screen, width, glyphs))
    lines.append(ends(panels.counters(screen, glyphs), panels.speaking(screen, glyphs), width, glyphs))
    choices = screen.choices
    if choices.over == "rename":
        lines.append(fit(Text(f"name of {choices.subject}: {choices.typed}_ (enter, esc)", "reverse"), width, glyphs))
    elif choices.over == "mark":
        lines.append(fit(Text(f"note: {choices.typed}_ (enter, esc)", "reverse"), width, glyphs))
    elif screen.keys:
        lines.append(fit(Text(KEYS[screen.keys], "dim"), width, glyphs))
    return lines


def _time_bar(screen: Screen, width: int, glyphs: Glyphs) -> Text:
    """Where a replay is."""
    assert screen.playing
    position, length = screen.playing.position_ns, max(1, screen.playing.length_ns)
    times = f" {clock_time(position)} / {clock_time(length)}"
    cells = max(1, width - len(times))
    full = min(cells, position * cells // length)
    return Text.assemble((glyphs.full * full, "bold"), (glyphs.rest * (cells - full), "dim"), times)
