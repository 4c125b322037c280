"""Lines of text of an exact width, and blocks of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from rich.cells import cell_len, chop_cells
from rich.text import Text

from tracker.sinks.palette import Glyphs

Lines = list[Text]


def fit(line: Text | str, width: int, glyphs: Glyphs) -> Text:
    """A line of exactly this width: cut, with a sign that shows it, or filled with spaces."""
    line = Text(line) if isinstance(line, str) else line.copy()
    if cell_len(line.plain) > width:
        room = max(0, width - cell_len(glyphs.more))
        line.truncate(room, overflow="crop")
        line.append(glyphs.more[:width], "dim")
    line.pad_right(max(0, width - cell_len(line.plain)))
    return line


def justify(left: Text, right: Text, width: int, glyphs: Glyphs) -> Text:
    """Two texts at the ends of one line; the left one is cut where both do not fit."""
    room = max(0, width - cell_len(right.plain) - 1)
    return fit(Text.assemble(fit(left, room, glyphs), " ", right), width, glyphs)


def title(name: str, width: int, glyphs: Glyphs) -> Text:
    """A rule with a name in it."""
    start = f"{glyphs.rule} "
    rest = glyphs.rule * max(0, width - cell_len(name) - cell_len(start) - 1)
    return fit(Text.assemble((start, "dim"), (name, "bold"), (f" {rest}", "dim")), width, glyphs)


def pane(lines: Sequence[Text], width: int, height: int, glyphs: Glyphs) -> Lines:
    """Exactly so many lines of exactly this width."""
    fitted = [fit(line, width, glyphs) for line in lines[:height]]
    return fitted + [Text(" " * width)] * (height - len(fitted))


def side_by_side(left: Lines, right: Lines, glyphs: Glyphs) -> Lines:
    """Two panes of the same height with a line between them."""
    return [Text.assemble(a, (f" {glyphs.wall} ", "dim"), b) for a, b in zip(left, right, strict=True)]


def bar(share: float, width: int, style: str, glyphs: Glyphs) -> Text:
    """A share, from 0 to 1, as a bar."""
    full = round(min(1.0, max(0.0, share)) * width)
    return Text.assemble((glyphs.full * full, style), (glyphs.rest * (width - full), "dim"))


@lru_cache(maxsize=4096)
def wrap(text: str, width: int) -> tuple[str, ...]:
    """Text in lines of at most this width, broken between words where it can be; at least one line."""
    width = max(1, width)
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if cell_len(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        *whole, line = [word] if cell_len(word) <= width else chop_cells(word, width)  # which drops what has no width
        lines += whole
    return (*lines, line)
