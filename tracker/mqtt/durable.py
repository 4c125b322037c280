"""On the disk first, then to the broker."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing
from typing import final

import anyio

from tracker.errors import SinkError, sentence_of
from tracker.events import Event, Preview
from tracker.runtime.edges import Edge
from tracker.sinks import PreviewSink, Sink

_WAITING = 10_000


@final
class Durable:
    """Gives an event to a sink once a log has it on the disk, and goes on without the log where that fails.

    Args:
        log: Writes; takes the next event when the one before is on the disk.
        sink: What comes after it.
        report: Says one sentence to the user.
        check: Called before each event is written.

    Attributes:
        sink: What comes after the log.

    Raises:
        SinkError: (`check`) The log may not grow any more.
    """

    name = "mqtt"

    def __init__(self, log: Sink, sink: Sink, report: Callable[[str], None], check: Callable[[], None]) -> None:
        self._log = log
        self.sink = sink
        self._report = report
        self._check = check
        self._held: Event | None = None

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Hand over every event; return when both are done.

        Raises:
            SinkError: The sink cannot be written any more.
        """
        each = aiter(events)
        written: Edge[Event] = Edge("written", _WAITING)
        async with anyio.create_task_group() as group:
            group.start_soon(self._deliver, written, name="deliver what is written")
            try:
                async with aclosing(self._passing(each, written)) as passing:
                    await self._log.run(passing)
            except SinkError as error:
                self._report(f"{self._log.name}: {sentence_of(error)}; what is published is no longer kept")
            if self._held:
                await written.offer(self._held)
            async for event in each:
                await written.offer(event)
            written.close()

    async def run_previews(self, previews: AsyncIterable[Preview]) -> None:
        """Hand over every preview to the sink; none is kept."""
        if isinstance(self.sink, PreviewSink):
            await self.sink.run_previews(previews)

    async def _deliver(self, written: Edge[Event]) -> None:
        try:
            await self.sink.run(written)
        finally:
            written.close()

    async def _passing(self, events: AsyncIterator[Event], written: Edge[Event]) -> AsyncGenerator[Event]:
        async for event in events:
            self._held = event
            self._check()
            yield event  # comes back when the log asks for the next one: then this one is on the disk
            self._held = None
            await written.offer(event)
