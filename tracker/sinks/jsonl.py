"""Events as JSON lines on a stream, for ``jq`` and the like."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import AsyncIterable, Mapping
from pathlib import Path
from typing import Any, TextIO, final

import anyio
import anyio.to_thread

from tracker.errors import ConfigError, SinkError
from tracker.events import Event, Preview, to_json
from tracker.runtime.streams import let_go
from tracker.sinks.text import printable_json


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
            let_go(self._stream)
            if not isinstance(error, BrokenPipeError):
                raise SinkError(f"the JSON lines cannot be written: {error.strerror}") from error

    async def run_previews(self, previews: AsyncIterable[Preview]) -> None:
        """Write every preview until they end or nobody reads."""
        with contextlib.suppress(OSError):  # `run` finds it, too, and reports it
            await self._write_all(previews)

    async def _write_all(self, items: AsyncIterable[Event | Preview]) -> None:
        async for item in items:
            async with self._line:  # whole lines, in the order in which they came
                await anyio.to_thread.run_sync(
                    self._write, printable_json(to_json(item)) + "\n", abandon_on_cancel=True
                )

    def _write(self, line: str) -> None:
        self._stream.write(line)
        self._stream.flush()


class FileLines:
    """Appends one line per event to a file.

    Args:
        path: The file; made where there is none.
    """

    name = "jsonl"

    def __init__(self, path: Path) -> None:
        self._path = path

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Write every event; into a pipe once somebody reads it.

        Raises:
            SinkError: The file cannot be opened or written.
        """
        try:
            while (stream := _open(self._path)) is None:  # noqa: ASYNC110  # nobody says when a reader comes
                await anyio.sleep(_POLL_S)
            with stream:
                await JsonLines(stream).run(events)
        except OSError as error:
            raise SinkError(f"{self._path} cannot be written: {error.strerror}") from error


_POLL_S = 0.1


def _open(path: Path) -> TextIO | None:
    """The file, to append to it; None where it is a pipe that nobody reads yet.

    Opened as usual, a pipe would wait for its reader, and everything else with it.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO and path.is_fifo():
            return None
        raise
    os.set_blocking(descriptor, True)
    return open(descriptor, "w", encoding="utf-8")


def to_file(settings: Mapping[str, Any]) -> FileLines:
    """The sink of ``[sinks.jsonl]``: its one setting, ``path``, names the file.

    Raises:
        ConfigError: The path is missing, or something else is set.
    """
    if set(settings) != {"path"} or not isinstance(settings["path"], str):
        raise ConfigError(f'sinks.jsonl: takes path = "FILE" and nothing else, not {sorted(settings)}')
    return FileLines(Path(settings["path"]))
