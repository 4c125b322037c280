"""The conversation in the terminal as it flows; plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable
from typing import final

import anyio
import anyio.to_thread
from rich.console import Console
from rich.live import Live

from tracker.clock import NS_PER_S, Clock
from tracker.errors import SinkError
from tracker.events import Event
from tracker.sinks.drawing import Picture
from tracker.sinks.lines import line_of
from tracker.sinks.view import View, fold, noted, printable


@final
class Terminal:
    """Shows a session: a picture that is redrawn in place, and at the end the whole conversation, left standing.

    Where the console is no terminal, or one that cannot move its cursor, each turn is one line. Without colour
    (``NO_COLOR``) nothing is missing. Everything is written off the event loop: a terminal that is stopped with
    Ctrl-S holds up nothing but itself.

    Args:
        console: Where to draw.
        clock: Paces the drawing.
        max_fps: Drawings a second at most.
        notice: A sentence for those who are listened to; may be empty.
    """

    name = "terminal"

    def __init__(self, console: Console, clock: Clock, max_fps: int, notice: str = "") -> None:
        self._console = console
        self._clock = clock
        self._frame_ns = NS_PER_S // max_fps
        self._notice = notice
        self._view = View()
        self._changed = anyio.Event()
        self._live: Live | None = None

    def say(self, sentence: str) -> None:
        """Show the user a sentence: in the picture while there is one, as a line of its own otherwise."""
        if self._live:
            self._show(noted(self._view, sentence))
        else:
            self._console.print(printable(sentence), markup=False, highlight=False, soft_wrap=True)

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

    async def _print(self, events: AsyncIterable[Event]) -> None:
        async for event in events:
            if line := line_of(event):
                await anyio.to_thread.run_sync(self._put, line, abandon_on_cancel=True)

    def _put(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._console.file.flush()

    async def _draw(self, events: AsyncIterable[Event]) -> None:
        self._live = Live(console=self._console, auto_refresh=False, transient=True, get_renderable=self._picture)
        try:
            self._live.start()
            async with anyio.create_task_group() as group:
                group.start_soon(self._redraw, self._live, name="redraw")
                async for event in events:
                    self._show(fold(self._view, event))
                group.cancel_scope.cancel()
            await anyio.to_thread.run_sync(self._finish, abandon_on_cancel=True)
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            with contextlib.suppress(OSError):
                self._finish()

    def _finish(self) -> None:
        """Give the terminal back and leave the conversation on it; nothing where that was done."""
        live, self._live = self._live, None
        if live:
            live.stop()
            self._console.print(Picture(self._view, self._notice))

    async def _redraw(self, live: Live) -> None:
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            next_ns = self._clock.now_ns() + self._frame_ns
            await anyio.to_thread.run_sync(live.refresh, abandon_on_cancel=True)
            await self._clock.sleep_until_ns(next_ns)

    def _show(self, view: View) -> None:
        self._view = view
        self._changed.set()

    def _picture(self) -> Picture:
        return Picture(self._view, self._notice, height=self._console.height - 1)
