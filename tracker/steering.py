"""Carries out what users request while a session runs: pause, resume, mark, rename."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from tracker.metrics.gauges import Gauges
from tracker.observe.video.watcher import VideoWatcher
from tracker.publish import Publisher
from tracker.runtime.clock import Clock
from tracker.runtime.control import Control, Mark, Pause, Rename, Request, Resume
from tracker.sources.media import Pausable, Source, failing_as_lost


class Steering:
    """Carries out requests at the media time heard last.

    Args:
        source: While listening is paused, a microphone is released; any other source is not read.
        watcher: Paused and resumed with the source.
        publisher: Publishes each request as an event.
        silence: Ends the turns under way at a media time.
        clock: Measures how long a pause lasts.
        gauges: Show whether listening is paused.

    Attributes:
        heard_ns: Media time heard so far; kept up to date by the listening step.
    """

    def __init__(
        self,
        source: Source,
        watcher: VideoWatcher,
        publisher: Publisher,
        silence: Callable[[int], Awaitable[object]],
        clock: Clock,
        gauges: Gauges,
    ) -> None:
        self._source = source
        self._pausable = source if isinstance(source, Pausable) else None
        self._watcher = watcher
        self._publisher = publisher
        self._silence = silence
        self._clock = clock
        self._gauges = gauges
        self._listening = anyio.Event()
        self._listening.set()
        self._paused_at_ns: int | None = None
        self.heard_ns = 0

    async def listening(self) -> None:
        """Wait while a source that cannot pause by itself is paused."""
        if not self._pausable:
            await self._listening.wait()

    def stop(self) -> None:
        """End the source, paused or not."""
        with failing_as_lost(self._source):
            self._source.stop()
        self._listening.set()

    async def follow(self, control: Control) -> None:
        """Carry out every request until the session drains."""
        async for request in control.requests:
            if not control.drained.is_set():
                await self._carry_out(request)

    async def _carry_out(self, request: Request) -> None:
        now_ns = self._clock.now_ns()
        match request:
            case Pause() if self._paused_at_ns is None:
                self._paused_at_ns, self._gauges.paused = now_ns, True
                self._listening = anyio.Event()
                if self._pausable:
                    with failing_as_lost(self._source):
                        self._pausable.pause()
                self._watcher.pause()
                at_ns = self.heard_ns  # one time for both, whatever is heard meanwhile
                await self._silence(at_ns)
                await self._publisher.request(request, at_ns)
            case Resume() if self._paused_at_ns is not None:
                await self._publisher.request(request, self.heard_ns, now_ns - self._paused_at_ns)
                self._paused_at_ns, self._gauges.paused = None, False
                if self._pausable:
                    with failing_as_lost(self._source):
                        self._pausable.resume()
                self._watcher.resume()
                self._listening.set()
            case Mark() | Rename():
                await self._publisher.request(request, self.heard_ns)
