"""Events as JSON lines on a stream, for ``jq`` and the like."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import AsyncIterable
from typing import TextIO, final

import anyio.to_thread

from tracker.errors import SinkError
from tracker.events import Event, to_json


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
        self._whole_lines = threading.Lock()

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Write every event until they end or nobody reads.

        Raises:
            SinkError: The stream cannot be written.
        """
        async for event in events:
            line = to_json(event) + "\n"
            try:
                await anyio.to_thread.run_sync(self._write, line, abandon_on_cancel=True)
            except OSError as error:
                self._let_go()
                if isinstance(error, BrokenPipeError):
                    return
                raise SinkError(f"the JSON lines cannot be written: {error.strerror}") from error

    def _write(self, line: str) -> None:
        with self._whole_lines:
            self._stream.write(line)
            self._stream.flush()

    def _let_go(self) -> None:
        """Leave nothing that Python would flush at exit, fail again at, and complain about."""
        if self._stream is sys.stdout:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
