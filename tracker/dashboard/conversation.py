"""The main pane: the conversation, one turn in detail, or the help."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from tracker.dashboard.blocks import Lines, bar, fit, wrap
from tracker.dashboard.screen import Screen, selected_row, visible_rows
from tracker.dashboard.view import Row
from tracker.events import Faces
from tracker.sinks.palette import Glyphs, emotion_colour, speaker_colour
from tracker.sinks.text import clock_time, printable

_BAR = 8
_JUDGED = 1 + _BAR + 5  # after the emotion: its bar and its percentage
_TIME = 7

HELP = {
    "live": (
        ("p space", "pause, and listen again; while paused the microphone is closed"),
        ("m", "mark this moment"),
        ("M", "mark it with a note"),
        ("r", "give the selected turn's speaker a name"),
        ("q", "finish what was heard, then quit; Ctrl-C twice ends at once"),
    ),
    "replay": (
        ("p space", "pause, and go on"),
        ("left right", "back and on by 5 s; home: to the start"),
        ("+ -", "faster, slower"),
        ("q", "quit"),
    ),
    "watch": (("n tab", "the next session; N: the one before"), ("q", "quit")),
}
_HELP_ALL = (
    ("j k up down", "select a turn (page up, page down: ten); esc: follow the conversation again"),
    ("enter d", "everything about the selected turn"),
    ("f 1-9 0", "show one speaker only; 0 shows all"),
    ("t", "latencies, queues, cost and models; again: without them"),
    ("?", "this help"),
)


def conversation(screen: Screen, width: int, height: int, glyphs: Glyphs) -> Lines:
    """The turns up to the selected one or the latest, as many whole lines as there is room for."""
    rows = list(visible_rows(screen.view, screen.choices))
    if screen.choices.selected is not None:
        at = next((i for i, row in enumerate(rows) if row.turn == screen.choices.selected), len(rows) - 1)
        rows = rows[: max(at + 1, min(len(rows), height // 2))]
    name = min(max((len(one.name) for one in screen.view.speakers), default=9), max(9, width // 6))
    lines: Lines = []
    marks = list(screen.view.marks)
    for row in reversed(rows):
        after = [mark for mark in marks if mark.at_ns > row.start_ns]
        marks = marks[: len(marks) - len(after)]
        lines_after = [_mark(mark.at_ns, mark.sentence, width, glyphs) for mark in after]
        lines = [*_row(row, screen, name, width, glyphs), *lines_after, *lines]
        if len(lines) >= height:
            return lines[-height:]
    early = [_mark(mark.at_ns, mark.sentence, width, glyphs) for mark in marks]
    return [*early, *lines][-height:] if early or lines else [Text("nothing has been said yet", "dim")]


def _mark(at_ns: int, sentence: str, width: int, glyphs: Glyphs) -> Text:
    start = f"{glyphs.rule * 2} {clock_time(at_ns)} {sentence} "
    return fit(Text(start + glyphs.rule * max(0, width - len(start)), "bold"), width, glyphs)


def _row(row: Row, screen: Screen, name: int, width: int, glyphs: Glyphs) -> Lines:
    view = screen.view
    here = row.turn == screen.choices.selected
    judged_width = view.emotion_width + _JUDGED
    room = max(8, width - 2 - _TIME - 1 - name - 1 - 1 - judged_width)
    left = Text.assemble((f"{glyphs.here if here else ' '} ", "bold"), (f"{clock_time(row.start_ns):>{_TIME}} ", "dim"))
    channels = view.started.channels if view.started else 1
    channel = f"channel {row.channel + 1}" if channels > 1 else ""
    judged = Text()
    if row.state in ("speaking", "skipped"):
        words = f"{row.text or 'speaking'} {glyphs.more}" if row.state == "speaking" else f"skipped ({row.reason})"
        if row.emotion:
            judged.append(f"{row.emotion:<{view.emotion_width + _JUDGED - 4}}{row.confidence:>4.0%}", "dim italic")
        parts = _under_way(wrap(words, room if judged else room + 1 + judged_width), row)
        left.append_text(fit(Text(channel, "dim"), name, glyphs))
    else:
        colour = speaker_colour(view.speaker_ids.index(row.speaker))
        left.append_text(fit(Text(view.name_of(row.speaker), f"bold {colour}"), name, glyphs))
        unsure = row.state == "unsure"
        parts = [Text(line, "reverse" if here else "") for line in wrap(row.text, room)]
        if unsure:
            parts += [Text(line, "dim") for line in wrap(f"(unsure: {row.reason or 'no reason given'})", room)]
        style = "dim" if unsure else emotion_colour(row.emotion, view.labels)
        judged = Text(f"{row.emotion + '?' * unsure:<{view.emotion_width}} ", style)
        judged.append_text(bar(row.confidence, _BAR, style, glyphs)).append(f" {row.confidence:>4.0%}", style)
    first = Text.assemble(left, " ", fit(parts[0], room, glyphs) if judged else parts[0], " ", judged)
    indent = " " * (2 + _TIME + 1 + name + 1)
    return [fit(line, width, glyphs) for line in (first, *(Text.assemble(indent, part) for part in parts[1:]))]


def _under_way(lines: Sequence[str], row: Row) -> Lines:
    """The words of a turn that is not judged: dimmed, but for those that are not likely to change."""
    style, stable = ("dim italic" if row.state == "speaking" else "dim"), len(row.stable)
    parts = []
    for line in lines:
        parts.append(Text.assemble((line[:stable], "italic"), (line[stable:], style)))
        stable = max(0, stable - len(line) - 1)  # a space, where the line was broken
    return parts


def detail(screen: Screen, width: int, glyphs: Glyphs) -> Lines:
    """Everything about one turn."""
    row = selected_row(screen.view, screen.choices)
    if row is None or row.judged is None:
        reason = f": {row.reason}" if row and row.reason else ""
        return [Text(f"this turn has not been judged{reason}", "dim")]
    event = row.judged
    name = screen.view.name_of(row.speaker)
    full_name = f"{name} ({row.speaker})" if name != row.speaker else name
    span = f"{clock_time(event.start_ns)} to {clock_time(event.end_ns)}, {(event.end_ns - event.start_ns) / 1e9:.1f} s"
    lines = [Text(f"turn {event.turn}{glyphs.dot}{full_name}{glyphs.dot}{span}", "bold")]
    lines += [Text(line) for line in wrap(f"{row.text}", width)[:3]]
    if event.abstained:
        lines.append(Text(f"unsure: {row.reason or 'no reason given'}", "dim"))
    for label, share in sorted(event.probabilities.items(), key=lambda one: -one[1]):
        style = emotion_colour(label, screen.view.labels)
        named = f"  {label:<{screen.view.emotion_width + 1}}"
        lines.append(Text.assemble((named, style), bar(share, 20, style, glyphs), f" {share:>6.1%}"))
    ended = event.ended_by.replace("_", " ")
    lines.append(Text(f"sentiment {event.sentiment}{glyphs.dot}language {event.language}{glyphs.dot}ended by {ended}"))
    if event.dimensions:
        places = [
            f"{printable(name)} {at.value:+.2f} ({at.low:+.2f} to {at.high:+.2f})"
            for name, at in event.dimensions.items()
        ]
        lines.append(Text(glyphs.dot.join(places)))
    used = [f"{kind}: {printable(use)}" for kind, use in event.modalities.items()]
    lines.append(Text(glyphs.dot.join(used)))
    if event.faces:
        lines.append(Text(f"face {describe_face(event.faces, glyphs)}"))
    took = event.latency_ms
    lines += [
        Text(f"endpoint {took.endpoint:.0f} ms, then {took.total:.0f} ms to this event:"),
        Text(f"  transcribe {took.transcribe:.0f}, speaker {took.speaker:.0f}, recognise {took.recognise:.0f} ms"),
    ]
    return [fit(line, width, glyphs) for line in lines]


def describe_face(faces: Faces, glyphs: Glyphs) -> str:
    """Which face was taken for the speaker's, and its expressions."""
    why = {"only": "the only one", "mouth": "its mouth moved", "speaker": "as before", "size": "the largest"}
    course = ", ".join(printable(step.label) for step in faces.course)
    which = f"{faces.face} of {faces.count} ({why[faces.chosen_by]}, {faces.confidence:.0%})"
    return f"{which}{glyphs.dot}{faces.pictures} pictures: {course}"


def help_lines(screen: Screen, width: int, glyphs: Glyphs) -> Lines:
    """What the keys do."""
    keys = [*HELP.get(screen.mode, ()), *_HELP_ALL]
    lines = []
    for key, does in keys:
        first, *more = wrap(does, width - 14)
        lines.append(Text.assemble((f"{key:<12}", "bold"), first))
        lines += [Text(" " * 12 + line) for line in more]
    return [fit(line, width, glyphs) for line in lines]
