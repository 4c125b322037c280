"""The sink that shows a session in the terminal: the dashboard, or plain lines where it cannot be drawn."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterable, Callable
from dataclasses import replace
from typing import Any, TextIO, final

import anyio
import anyio.to_thread
from rich.console import Console

from tracker.dashboard.final import FinalScreen
from tracker.dashboard.keyboard import can_read_keys, raw_keys
from tracker.dashboard.layout import draw
from tracker.dashboard.painter import Painter
from tracker.dashboard.screen import Mode, Playback, Screen, handle_key
from tracker.dashboard.view import View, fold, fold_preview, with_note
from tracker.events import Event, Preview
from tracker.metrics.gauges import Status
from tracker.runtime.clock import NS_PER_S, Clock
from tracker.runtime.streams import let_go
from tracker.sinks.lines import ending_unread, print_lines
from tracker.sinks.text import printable

_REFRESH_NS = NS_PER_S // 4


@final
class Terminal:
    """Shows the dashboard on the alternate screen, and at the end prints the whole conversation.

    Where the console is no terminal, or one that cannot move its cursor, each turn is one line. Colour (off with
    ``NO_COLOR``) carries no information of its own. All writing happens off the event loop: a terminal stopped with
    Ctrl-S delays nothing else.

    Args:
        console: Where to draw.
        clock: Paces the drawing.
        max_fps: Drawings a second at most.
        notice: A sentence for the people who are listened to; may be empty.
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
        self._mode: Mode = ""
        self._request: Callable[[Any], None] | None = None
        self._read_status: Callable[[], Status] | None = None
        self._read_replay: Callable[[], tuple[View, Playback]] | None = None
        self._remote = False
        self._lost: OSError | None = None

    def say(self, sentence: str) -> None:
        """Show the user a sentence: in the dashboard while it is drawn, as a line of its own otherwise."""
        if self._painter:
            self._show(with_note(self._screen.view, sentence))
            return
        try:
            self.print_line(sentence)
        except OSError:
            with contextlib.suppress(OSError):
                print(printable(sentence), file=sys.stderr)  # noqa: T201

    def print_line(self, line: str) -> None:
        """Print one line; blocks.

        Raises:
            OSError: It cannot be written, or an earlier one could not.
        """
        if self._lost:
            raise self._lost
        try:
            self._console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
        except OSError as error:
            self._lost = error
            let_go(self._console.file)
            raise

    def read_keys(self, mode: Mode, request: Callable[[Any], None]) -> None:
        """Pass on what keys request; called before `run`.

        Args:
            mode: What the keys steer.
            request: Takes what this mode's keys request: a live session's only a `tracker.runtime.control.Request`.
        """
        self._mode, self._request = mode, request

    def show_status(self, read: Callable[[], Status]) -> None:
        """Show these gauges, read some times a second; called before `run`."""
        self._read_status = read

    def show_replay(self, read: Callable[[], tuple[View, Playback]]) -> None:
        """Show this replay instead of the events; called before `run`."""
        self._read_replay = read

    def show_remote(self) -> None:
        """Show what `show_view` is given instead of the events; called before `run`."""
        self._remote = True

    def show_view(self, view: View, sessions: tuple[int, int], notice: str) -> None:
        """Show the view of a remote session, the n-th of so many."""
        view = replace(view, notes=self._screen.view.notes)
        self._screen = replace(self._screen, view=view, sessions=sessions, notice=notice)
        self._changed.set()

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Show every event, until they end or nobody reads.

        Raises:
            SinkError: The terminal cannot be written.
        """
        with ending_unread():
            if self._console.is_terminal and not self._console.is_dumb_terminal:
                await self._draw(events)
            else:
                await print_lines(events, self.print_line)

    async def run_previews(self, previews: AsyncIterable[Preview]) -> None:
        """Show every preview, where there is a dashboard."""
        async for preview in previews:
            self._show(fold_preview(self._screen.view, preview))

    async def _draw(self, events: AsyncIterable[Event]) -> None:
        painter = self._painter = Painter(self._console)
        try:
            painter.begin()
            self._changed.set()
            async with anyio.create_task_group() as group:
                group.start_soon(self._redraw, painter, name="redraw")
                if self._request and self._keyboard and can_read_keys(self._keyboard):
                    self._screen = replace(self._screen, mode=self._mode)
                    group.start_soon(self._handle_keys, self._keyboard, self._request, name="keys")
                if self._read_status or self._read_replay:
                    group.start_soon(self._refresh, name="gauges")
                async for event in events:
                    if not self._read_replay and not self._remote:
                        self._show(fold(self._screen.view, event))
                group.cancel_scope.cancel()
            await anyio.to_thread.run_sync(self._finish, abandon_on_cancel=True)
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            with contextlib.suppress(OSError):
                self._finish()

    def _finish(self) -> None:
        """Restore the terminal and print the conversation; once."""
        painter, self._painter = self._painter, None
        if painter:
            painter.end()
            self._console.print(FinalScreen(self._screen.view, self._screen.notice))

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
        """Read the gauges and the size of the terminal a few times a second."""
        while True:
            if self._read_status:
                self._screen = replace(self._screen, status=self._read_status())
            if self._read_replay:
                view, playback = self._read_replay()
                view = replace(view, notes=self._screen.view.notes)
                self._screen = replace(self._screen, view=view, playback=playback)
            self._changed.set()
            await self._clock.sleep_until_ns(self._clock.now_ns() + _REFRESH_NS)

    async def _handle_keys(self, keyboard: TextIO, request: Callable[[Any], None]) -> None:
        with raw_keys(keyboard) as keys:
            async for key in keys():
                choices, requested = handle_key(self._screen, key)
                self._screen = replace(self._screen, choices=choices)
                if requested:
                    request(requested)
                self._changed.set()

    def _show(self, view: View) -> None:
        self._screen = replace(self._screen, view=view)
        self._changed.set()


def default_keyboard() -> TextIO | None:
    """Standard input, where it is a terminal."""
    return sys.stdin if sys.stdin is not None and sys.stdin.isatty() else None
