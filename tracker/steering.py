"""What the user asks for while a session runs: pause, go on, mark a moment, name a speaker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from tracker.metrics.gauges import Gauges
from tracker.observe.video.watcher import VideoWatcher
from tracker.publish import Publisher
from tracker.runtime.clock import Clock
from tracker.runtime.control import Control, Mark, Pause, Rename, Request, Resume
from tracker.sources.media import Pausable, Source


class Steering:
    """Does what is asked for, at the media time that was heard last.

    Args:
        source: A microphone is let go of while listening is paused; any other source is not read on.
        watcher: Looks away meanwhile.
        publisher: Says so in an event.
        silence: Ends the turns under way.
        clock: For how long a pause was.
        gauges: Show it.

    Attributes:
        heard_ns: Media time heard so far; kept by whoever listens.
    """

    def __init__(
        self,
        source: Source,
        watcher: VideoWatcher,
        publisher: Publisher,
        silence: Callable[[], Awaitable[object]],
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
        self._source.stop()
        self._listening.set()

    async def follow(self, control: Control) -> None:
        """Do what is asked for, until the session drains."""
        async for request in control.requests:
            if not control.drained.is_set():
                await self._do(request)

    async def _do(self, request: Request) -> None:
        now_ns = self._clock.now_ns()
        match request:
            case Pause() if self._paused_at_ns is None:
                self._paused_at_ns, self._gauges.paused = now_ns, True
                self._listening = anyio.Event()
                if self._pausable:
                    self._pausable.pause()
                self._watcher.pause()
                await self._silence()
                await self._publisher.pause(self.heard_ns)
            case Resume() if self._paused_at_ns is not None:
                await self._publisher.resume(self.heard_ns, now_ns - self._paused_at_ns)
                self._paused_at_ns, self._gauges.paused = None, False
                if self._pausable:
                    self._pausable.resume()
                self._watcher.resume()
                self._listening.set()
            case Mark(note):
                await self._publisher.mark(self.heard_ns, note)
            case Rename(speaker, name):
                await self._publisher.rename(self.heard_ns, speaker, name)
