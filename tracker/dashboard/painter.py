"""Paints drawings on the terminal's alternate screen: only lines that have changed, so that nothing flickers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.color import ColorSystem
from rich.console import Console
from rich.control import Control
from rich.segment import Segment
from rich.text import Text

from adapters.errors import without_controls
from tracker.sinks.palette import ASCII, UNICODE, Glyphs

_ALL_EVERY = 40
"""Drawings after which every line is painted again, changed or not."""
_COLOURS = {
    "standard": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
    "windows": ColorSystem.WINDOWS,
}


def printable_segments(segments: Iterable[Segment]) -> Iterator[Segment]:
    """What is drawn, with foreign control characters as spaces."""
    for one in segments:
        foreign = not (one.control or one.text == "\n" or one.text.isprintable())
        yield Segment(without_controls(one.text), one.style) if foreign else one


class Painter:
    """Owns the alternate screen between `begin` and `end`; every call blocks while it writes.

    Args:
        console: A terminal that can move its cursor.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: list[str] = []
        self._size = (0, 0)
        self._begun = False
        self._painted = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in cells, as they are now."""
        return self._console.size.width, self._console.size.height

    @property
    def glyphs(self) -> Glyphs:
        """The signs that the terminal can show."""
        return ASCII if self._console.options.ascii_only else UNICODE

    def begin(self) -> None:
        """Switch to the alternate screen."""
        self._begun = True
        self._console.set_alt_screen(True)
        self._console.show_cursor(False)

    def end(self) -> None:
        """Restore the terminal; may be called twice."""
        if self._begun:
            self._begun = False
            self._console.show_cursor(True)
            self._console.set_alt_screen(False)

    def paint(self, lines: Sequence[Text]) -> None:
        """Show these lines from the top, each as wide as the terminal."""
        width, _ = size = self.size
        if size != self._size:
            self._size, self._lines = size, []
            self._console.control(Control.clear())
        self._painted += 1
        if self._painted % _ALL_EVERY == 0:
            self._lines = []  # repairs what other programs have written on the terminal
        out = []
        for row, line in enumerate(lines):
            drawn = self._drawn(line, width)
            if row >= len(self._lines) or self._lines[row] != drawn:
                out.append(f"\x1b[{row + 1};1H{drawn}")
            if row < len(self._lines):
                self._lines[row] = drawn
            else:
                self._lines.append(drawn)
        if out:
            self._console.file.write("".join(out))
            self._console.file.flush()

    def _drawn(self, line: Text, width: int) -> str:
        """A line with its escape sequences."""
        options = self._console.options.update(width=max(1, width), no_wrap=True, overflow="crop", height=None)
        segments: Iterable[Segment] = printable_segments(self._console.render(line, options))
        if self._console.no_color:
            segments = Segment.remove_color(segments)
        colours = _COLOURS.get(self._console.color_system or "")
        return "".join(
            segment.style.render(segment.text, color_system=colours) if segment.style else segment.text
            for segment in segments
            if segment.text != "\n"
        )
