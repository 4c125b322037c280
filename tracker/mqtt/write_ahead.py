"""Events go to the disk first, then to the broker."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing
from typing import final

import anyio

from tracker.errors import SinkError, sentence_of
from tracker.events import Event, Preview
from tracker.runtime.edges import Edge
from tracker.sinks import PreviewSink, Sink
from tracker.sinks.deliver import deliver

_QUEUE = 10_000


@final
class WriteAhead:
    """Passes each event to a sink once a log has written it to the disk; if one of them fails, the other continues.

    Args:
        log: Writes; takes the next event when the one before is on the disk.
        sink: Receives what is written.
        report: Tells the user one sentence.
        check: Called before each event is written; raises `SinkError` if the log may not grow any more.

    Attributes:
        sink: Receives what is written.
    """

    name = "mqtt"

    def __init__(self, log: Sink, sink: Sink, report: Callable[[str], None], check: Callable[[], None]) -> None:
        self._log = log
        self.sink = sink
        self._report = report
        self._check = check
        self._unwritten: Event | None = None

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Write and pass on every event; return when both are done. Each goes on where the other fails."""
        each = aiter(events)
        written: Edge[Event] = Edge("written", _QUEUE)
        async with anyio.create_task_group() as group:
            group.start_soon(deliver, self.name, self.sink.run, written, self._report, name="deliver what is written")
            try:
                async with aclosing(self._passed_on(each, written)) as passed_on:
                    await self._log.run(passed_on)
            except SinkError as error:
                self._report(f"{self._log.name}: {sentence_of(error)}; published events are no longer kept on disk")
            if self._unwritten:
                await written.offer(self._unwritten)
            async for event in each:
                await written.offer(event)
            written.close()

    async def run_previews(self, previews: AsyncIterable[Preview]) -> None:
        """Pass on every preview; none is written."""
        if isinstance(self.sink, PreviewSink):
            await self.sink.run_previews(previews)

    async def _passed_on(self, events: AsyncIterator[Event], written: Edge[Event]) -> AsyncGenerator[Event]:
        async for event in events:
            self._unwritten = event
            self._check()
            yield event  # resumes when the log asks for the next one: then this one is on the disk
            self._unwritten = None
            await written.offer(event)
