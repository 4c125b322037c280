"""Events as JSON lines on a stream, for ``jq`` and the like."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterable
from typing import TextIO, final

import anyio.to_thread

from tracker.errors import SinkError
from tracker.events import Event, Preview, to_json


@final
class JsonLines:
    """Writes one line per event, each at once. A reader that has gone away (``| head``) ends it quietly.

    Several sessions may run it at the same time: their lines come one after the other.

    Args:
        stream: Where to; normally standard output.
    """

    name = "json"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = anyio.Lock()

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Write every event until they end or nobody reads.

        Raises:
            SinkError: The stream cannot be written.
        """
        try:
            await self._write_all(events)
        except OSError as error:
            self._let_go()
            if not isinstance(error, BrokenPipeError):
                raise SinkError(f"the JSON lines cannot be written: {error.strerror}") from error

    async def run_previews(self, previews: AsyncIterable[Preview]) -> None:
        """Write every preview until they end or nobody reads."""
        with contextlib.suppress(OSError):  # `run` finds it, too, and reports it
            await self._write_all(previews)

    async def _write_all(self, items: AsyncIterable[Event | Preview]) -> None:
        async for item in items:
            async with self._line:  # whole lines, in the order in which they came
                await anyio.to_thread.run_sync(self._write, to_json(item) + "\n", abandon_on_cancel=True)

    def _write(self, line: str) -> None:
        self._stream.write(line)
        self._stream.flush()

    def _let_go(self) -> None:
        """Leave nothing that Python would flush at exit, fail again at, and complain about."""
        if self._stream is sys.stdout:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
