"""The conversation as it is printed when the session has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from tracker.dashboard.blocks import bar
from tracker.dashboard.painter import printable_segments
from tracker.dashboard.view import Row, View
from tracker.sinks.palette import ASCII, UNICODE, Glyphs, emotion_colour, speaker_colour
from tracker.sinks.text import clock_time, header, outcome, printable

_BAR = 8


@dataclass(frozen=True, slots=True)
class FinalScreen:
    """Header, conversation and footer at the console's present width.

    Attributes:
        view: What is shown.
        notice: A sentence for the people who are listened to; may be empty.
        height: Lines it may take, so that the latest turns are shown; None for all of them.
    """

    view: View
    notice: str
    height: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render all lines."""
        glyphs = ASCII if options.ascii_only else UNICODE
        options = options.update(height=None)
        rule = Text(glyphs.rule * options.max_width, "dim", overflow="crop", no_wrap=True)
        top = _lines(console, options, [*_head(self.view, self.notice, glyphs), rule])
        bottom = _lines(console, options, [rule, *_foot(self.view, glyphs)])
        room = None if self.height is None else max(1, self.height - len(top) - len(bottom))
        lines = [*top, *_conversation(console, options, self.view, glyphs, room), *bottom]
        for line in lines[: self.height]:
            yield from printable_segments(line)
            yield Segment.line()


def _conversation(
    console: Console, options: ConsoleOptions, view: View, glyphs: Glyphs, room: int | None
) -> list[list[Segment]]:
    """The latest turns, as many whole lines as there is room for."""
    rows = view.rows if room is None else view.rows[-room:]
    table = Table.grid(padding=(0, 1), expand=True)
    speaker = max((len(one.name) for one in view.speakers), default=9)
    table.add_column(justify="right", no_wrap=True, min_width=6)
    table.add_column(no_wrap=True, width=min(speaker, max(9, options.max_width // 6)), overflow="ellipsis")
    table.add_column(ratio=1, overflow="fold")
    table.add_column(no_wrap=True, min_width=10)
    table.add_column(no_wrap=True, width=_BAR + 5)
    for row in rows:
        table.add_row(*_cells(row, view, glyphs))
    lines = _lines(console, options, [table])
    hidden = view.forgotten + len(view.rows) - len(rows)
    if room is not None and len(lines) > room:
        return lines[-room:]
    if room is None and hidden:
        return [*_lines(console, options, [Text(f"{glyphs.more} {hidden} earlier turns", "dim")]), *lines]
    return lines


def _cells(row: Row, view: View, glyphs: Glyphs) -> Sequence[Text]:
    time = Text(clock_time(row.start_ns), "dim")
    channels = view.started.channels if view.started else 1
    channel = f"channel {row.channel + 1}" if channels > 1 else ""
    match row.state:
        case "speaking":
            return time, Text(channel, "dim"), Text(f"speaking {glyphs.more}", "dim italic"), Text(), Text()
        case "skipped":
            return time, Text(channel, "dim"), Text(f"skipped ({row.reason})", "dim"), Text(), Text()
        case _:
            colour = speaker_colour(view.speaker_ids.index(row.speaker))
            unsure = row.state == "unsure"
            words = Text(row.text)
            if unsure:
                words.append(f" (unsure: {row.reason})" if row.reason else " (unsure)", "dim")
            style = "dim" if unsure else emotion_colour(row.emotion, view.labels)
            label = Text(f"{row.emotion}?" if unsure else row.emotion, style)
            return (
                time,
                Text(view.name_of(row.speaker), f"bold {colour}"),
                words,
                label,
                Text.assemble(bar(row.confidence, _BAR, style, glyphs), f" {row.confidence:>4.0%}", style=style),
            )


def _head(view: View, notice: str, glyphs: Glyphs) -> list[Text]:
    if not view.started:
        return [Text(f"starting {glyphs.more}", "bold")]
    models = glyphs.dot.join(f"{printable(part)} {printable(name)}" for part, name in view.started.models.items())
    lines = [
        Text.assemble(
            (header(view.started), "bold"), (f"{glyphs.dot}{printable(view.started.software)}", "dim"), no_wrap=True
        ),
        Text(models, "dim", no_wrap=True),
    ]
    if notice:
        lines.append(Text(notice, "italic"))
    for line in lines[:2]:
        line.overflow = "ellipsis"
    return lines


def _foot(view: View, glyphs: Glyphs) -> list[Text]:
    notes = [Text(f"! {note}", "yellow") for note in view.notes]
    if view.ended:
        return [*notes, Text(outcome(view.ended), "bold red" if view.ended.outcome == "failed" else "bold")]
    counters = [f"{view.judged} judged", f"{view.unsure} unsure", f"{view.skipped} skipped"]
    return [*notes, Text(glyphs.dot.join(counters), "dim")]


def _lines(console: Console, options: ConsoleOptions, parts: Sequence[Text | Table]) -> list[list[Segment]]:
    return [line for part in parts for line in console.render_lines(part, options, pad=False)]
