"""The turns of one of several sessions as plain lines, each with the session's name in front."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from typing import final

import anyio.to_thread

from tracker.errors import SinkError
from tracker.events import Event
from tracker.sinks.lines import line_of


@final
class NamedLines:
    """Says a line for every turn.

    Args:
        source: The session's name.
        say: Prints a line; called off the event loop.
    """

    name = "terminal"

    def __init__(self, source: str, say: Callable[[str], None]) -> None:
        self._source = source
        self._say = say

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Say every event.

        Raises:
            SinkError: The terminal cannot be written.
        """
        async for event in events:
            if line := line_of(event):
                try:
                    await anyio.to_thread.run_sync(self._say, f"{self._source}  {line}", abandon_on_cancel=True)
                except OSError as error:
                    raise SinkError(f"cannot be written: {error.strerror}") from error
