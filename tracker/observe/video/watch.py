"""Brings a recording's pictures to be looked at, beside its sound; a watcher fills a `Sight`.

Looking happens in a thread of its own and never holds up what is heard. A recording's pictures are all looked at, so
that the same file gives the same faces whatever the machine; a camera's (`live`) are left out where there is no time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, final

import anyio

from tracker.observe.video.look import Glimpse
from tracker.observe.video.sight import Sight
from tracker.runtime.clock import NS_PER_S, Clock
from tracker.runtime.threads import ModelThread
from tracker.sources.video import VideoFrame


class Look(Protocol):
    """Sees the pictures of one session, in order (`Eye`)."""

    def __call__(self, frame: VideoFrame) -> Glimpse:
        """What is seen in the next picture."""

    def close(self) -> None:
        """No more pictures come."""


@dataclass(frozen=True, slots=True)
class VideoState:
    """How watching goes, for showing.

    Attributes:
        source: What is watched; empty where nothing is.
        live: Whether it is a camera.
        on: Whether there are pictures; a recording that is over needs none.
        rate_hz: Pictures looked at in a second, lately.
        dropped: Pictures that were due and not looked at for want of time.
        lost: How often the camera went away.
        drift_ppm: By how many millionths the sound's clock runs ahead of that by which pictures are stamped.
    """

    source: str = ""
    live: bool = False
    on: bool = False
    rate_hz: float = 0.0
    dropped: int = 0
    lost: int = 0
    drift_ppm: float = 0.0


class Watcher(Protocol):
    """Looks at the pictures of one session."""

    async def watch(self) -> None:
        """Look until stopped, or until there are no more pictures."""

    def hear(self, media_ns: int) -> None:
        """The sound has come so far."""

    def pause(self) -> None:
        """See nothing until `resume`."""

    def resume(self) -> None:
        """Go on."""

    def stop(self) -> None:
        """No turn wants anything any more."""

    def state(self) -> VideoState:
        """How it goes."""


@final
class NoWatcher:
    """Watches nothing."""

    async def watch(self) -> None:
        """Nothing."""

    def hear(self, media_ns: int) -> None:
        """Nothing."""

    def pause(self) -> None:
        """Nothing."""

    def resume(self) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""

    def state(self) -> VideoState:
        """Nothing is watched."""
        return VideoState()


@final
class FileWatcher:
    """Looks at a recording's pictures, as far as its sound has come.

    Args:
        name: Of the file.
        pictures: The frames in time order; blocks while decoding.
        look: What is seen in one.
        sight: Filled.
        clock: Times the looking.
    """

    def __init__(self, name: str, pictures: Iterator[VideoFrame], look: Look, sight: Sight, clock: Clock) -> None:
        self._name = name
        self._pictures = pictures
        self._look = look
        self._sight = sight
        self._thread = ModelThread(clock)
        self._pace = Pace(clock)
        self._scope = anyio.CancelScope()

    async def watch(self) -> None:
        """Look at every frame once the sound has come to it."""
        try:
            with self._scope:
                while frame := (await self._thread.run(lambda: next(self._pictures, None))).result:
                    await self._sight.due(frame.at_ns)
                    glimpse = (await self._thread.run(lambda frame=frame: self._look(frame))).result  # type: ignore[misc]
                    self._pace.tick()
                    await self._sight.put(glimpse)
        finally:
            self._sight.end()
            with anyio.CancelScope(shield=True):
                await self._thread.run(self._look.close)

    def hear(self, media_ns: int) -> None:
        """The sound has come so far."""
        self._sight.hear(media_ns)

    def pause(self) -> None:
        """The sound stands still, and with it the picture."""

    def resume(self) -> None:
        """Both go on."""

    def stop(self) -> None:
        """No turn wants anything any more."""
        self._scope.cancel()

    def state(self) -> VideoState:
        """How it goes."""
        return VideoState(self._name, on=True, rate_hz=self._pace.rate_hz)


class Pace:
    """How many times a second something happens, over the last five seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times: list[int] = []

    def tick(self) -> None:
        """It happened."""
        now_ns = self._clock.now_ns()
        self._times = [time for time in self._times if now_ns - time < 5 * NS_PER_S] + [now_ns]

    @property
    def rate_hz(self) -> float:
        """Times a second; 0 while not known."""
        times, now_ns = self._times, self._clock.now_ns()
        recent = [time for time in times if now_ns - time < 5 * NS_PER_S]
        return (len(recent) - 1) * NS_PER_S / (recent[-1] - recent[0]) if len(recent) > 2 else 0.0
