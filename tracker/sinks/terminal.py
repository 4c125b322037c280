"""The dashboard in the terminal; plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterable, Callable
from dataclasses import replace
from typing import Literal, TextIO, final

import anyio
import anyio.to_thread
from rich.console import Console

from tracker.dashboard.final import Picture
from tracker.dashboard.keyboard import one_at_a_time, usable
from tracker.dashboard.layout import draw
from tracker.dashboard.painter import Painter
from tracker.dashboard.screen import Ask, Playing, Screen, press
from tracker.dashboard.view import View, fold, noted, previewed
from tracker.dashboard.words import printable
from tracker.errors import SinkError
from tracker.events import Event, Preview
from tracker.metrics.gauges import Status
from tracker.runtime.clock import NS_PER_S, Clock
from tracker.sinks.lines import line_of

_LOOK_NS = NS_PER_S // 4


@final
class Terminal:
    """Shows a session: a dashboard on the alternate screen, and at the end the whole conversation, left standing.

    Where the console is no terminal, or one that cannot move its cursor, each turn is one line. Without colour
    (``NO_COLOR``) nothing is missing. Everything is written off the event loop: a terminal that is stopped with
    Ctrl-S holds up nothing but itself.

    Args:
        console: Where to draw.
        clock: Paces the drawing.
        max_fps: Drawings a second at most.
        notice: A sentence for those who are listened to; may be empty.
        keyboard: Where keys come from; None reads none.
    """

    name = "terminal"

    def __init__(
        self, console: Console, clock: Clock, max_fps: int, notice: str = "", keyboard: TextIO | None = None
    ) -> None:
        self._console = console
        self._clock = clock
        self._frame_ns = NS_PER_S // max_fps
        self._keyboard = keyboard
        self._screen = Screen(notice=notice)
        self._changed = anyio.Event()
        self._painter: Painter | None = None
        self._mode: Literal["live", "replay", "watch"] = "live"
        self._obey: Callable[[Ask], None] | None = None
        self._look: Callable[[], Status] | None = None
        self._play: Callable[[], tuple[View, Playing]] | None = None
        self._changing = False

    def say(self, sentence: str) -> None:
        """Show the user a sentence: in the picture while there is one, as a line of its own otherwise."""
        if self._painter:
            self._show(noted(self._screen.view, sentence))
        else:
            self._console.print(printable(sentence), markup=False, highlight=False, soft_wrap=True)

    def steer(self, mode: Literal["live", "replay", "watch"], obey: Callable[[Ask], None]) -> None:
        """From now on, keys ask this of the session."""
        self._mode, self._obey = mode, obey

    def look_at(self, look: Callable[[], Status]) -> None:
        """From now on, read the machine's gauges some times a second."""
        self._look = look

    def follow(self, play: Callable[[], tuple[View, Playing]]) -> None:
        """From now on, show what a player says instead of the events; they only end the picture."""
        self._play = play

    def watch(self) -> None:
        """From now on, show only what `change` says; the events are for lines, where there is no terminal."""
        self._changing = True

    def change(self, view: View, sessions: tuple[int, int], notice: str) -> None:
        """Show another view, the n-th of so many sessions."""
        view = replace(view, notes=self._screen.view.notes)
        self._screen = replace(self._screen, view=view, sessions=sessions, notice=notice)
        self._changed.set()

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Show every event.

        Raises:
            SinkError: The terminal cannot be written.
        """
        try:
            if self._console.is_terminal and not self._console.is_dumb_terminal:
                await self._draw(events)
            else:
                await self._print(events)
        except OSError as error:
            raise SinkError(f"cannot be written: {error.strerror}") from error

    async def run_previews(self, previews: AsyncIterable[Preview]) -> None:
        """Show every preview, where there is a dashboard."""
        async for preview in previews:
            self._show(previewed(self._screen.view, preview))

    async def _print(self, events: AsyncIterable[Event]) -> None:
        async for event in events:
            if line := line_of(event):
                await anyio.to_thread.run_sync(self._put, line, abandon_on_cancel=True)

    def _put(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._console.file.flush()

    async def _draw(self, events: AsyncIterable[Event]) -> None:
        painter = self._painter = Painter(self._console)
        try:
            painter.begin()
            self._changed.set()
            async with anyio.create_task_group() as group:
                group.start_soon(self._redraw, painter, name="redraw")
                if self._obey and self._keyboard and usable(self._keyboard):
                    self._screen = replace(self._screen, keys=self._mode)
                    group.start_soon(self._read_keys, self._keyboard, self._obey, name="keys")
                if self._look or self._play:
                    group.start_soon(self._refresh, name="gauges")
                async for event in events:
                    if not self._play and not self._changing:
                        self._show(fold(self._screen.view, event))
                group.cancel_scope.cancel()
            await anyio.to_thread.run_sync(self._finish, abandon_on_cancel=True)
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            with contextlib.suppress(OSError):
                self._finish()

    def _finish(self) -> None:
        """Give the terminal back and leave the conversation on it; nothing where that was done."""
        painter, self._painter = self._painter, None
        if painter:
            painter.end()
            self._console.print(Picture(self._screen.view, self._screen.notice))

    async def _redraw(self, painter: Painter) -> None:
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            next_ns = self._clock.now_ns() + self._frame_ns
            await anyio.to_thread.run_sync(self._paint, painter, self._screen, abandon_on_cancel=True)
            await self._clock.sleep_until_ns(next_ns)

    @staticmethod
    def _paint(painter: Painter, screen: Screen) -> None:
        width, height = painter.size
        painter.paint(draw(screen, width, height, painter.glyphs))

    async def _refresh(self) -> None:
        """Look at the gauges and the size of the terminal a few times a second."""
        while True:
            if self._look:
                self._screen = replace(self._screen, status=self._look())
            if self._play:
                view, playing = self._play()
                view = replace(view, notes=self._screen.view.notes)
                self._screen = replace(self._screen, view=view, playing=playing)
            self._changed.set()
            await self._clock.sleep_until_ns(self._clock.now_ns() + _LOOK_NS)

    async def _read_keys(self, keyboard: TextIO, obey: Callable[[Ask], None]) -> None:
        with one_at_a_time(keyboard) as keys:
            async for key in keys():
                choices, ask = press(self._screen, key)
                self._screen = replace(self._screen, choices=choices)
                if ask:
                    obey(ask)
                self._changed.set()

    def _show(self, view: View) -> None:
        self._screen = replace(self._screen, view=view)
        self._changed.set()


def default_keyboard() -> TextIO | None:
    """Standard input, where it is a terminal."""
    return sys.stdin if sys.stdin is not None and sys.stdin.isatty() else None
