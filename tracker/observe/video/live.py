"""Brings a camera's pictures to be looked at, so many a second, each at the media time at which it was taken."""

from __future__ import annotations

from typing import final

import anyio
import anyio.to_thread

from tracker.observe.video.look import Glimpse
from tracker.observe.video.sight import Sight
from tracker.observe.video.watch import Look, Pace, VideoState
from tracker.runtime.clock import NS_PER_S, Clock
from tracker.runtime.threads import ModelThread
from tracker.sources.camera import Camera
from tracker.sources.drift import MediaClock
from tracker.sources.video import VideoFrame


@final
class CameraWatcher:
    """Looks at a camera's newest picture so many times a second.

    Args:
        camera: Started and stopped here.
        look: What is seen in a picture.
        sight: Filled.
        clock: Ticks.
        rate_hz: How often to look.
        delay_ns: How long a picture takes from the lens to here.
    """

    def __init__(
        self,
        camera: Camera,
        look: Look,
        sight: Sight,
        clock: Clock,
        rate_hz: float,
        delay_ns: int = 0,
    ) -> None:
        self._camera = camera
        self._look = look
        self._sight = sight
        self._clock = clock
        self._step_ns = round(NS_PER_S / rate_hz)
        self._delay_ns = delay_ns
        self._thread = ModelThread(clock)
        self._media = MediaClock()
        self._pace = Pace(clock)
        self._dropped = 0
        self._paused = False
        self._last_ns = -1
        self._scope = anyio.CancelScope()

    async def watch(self) -> None:
        """Look until stopped."""
        self._camera.start()
        try:
            with self._scope:
                await self._watch()
        finally:
            self._camera.stop()
            self._sight.end()
            with anyio.CancelScope(shield=True):
                await self._thread.run(self._look.close)
                await anyio.to_thread.run_sync(self._camera.join)

    async def _watch(self) -> None:
        due_ns, number = self._clock.now_ns(), 0
        while True:
            due_ns += self._step_ns
            missed = max(0, (self._clock.now_ns() - due_ns) // self._step_ns)
            due_ns += missed * self._step_ns
            await self._clock.sleep_until_ns(due_ns)
            now_ns = self._media.media_ns(self._clock.now_ns())
            if self._paused or now_ns is None:
                continue
            self._dropped += missed
            shot = self._camera.newest()
            if shot is None:
                await self._put(Glimpse(now_ns, (), "camera off"))
            elif shot.number != number:
                number = shot.number
                at_ns = self._media.media_ns(shot.arrived_ns - self._delay_ns) or 0
                if at_ns > self._last_ns:
                    frame = VideoFrame(at_ns, shot.image)
                    glimpse = (await self._thread.run(lambda frame=frame: self._look(frame))).result  # type: ignore[misc]
                    self._pace.tick()
                    await self._put(glimpse)

    async def _put(self, glimpse: Glimpse) -> None:
        if glimpse.at_ns > self._last_ns:
            self._last_ns = glimpse.at_ns
            await self._sight.put(glimpse)

    def hear(self, media_ns: int) -> None:
        """The sound has come so far, now: that is how its clock is known."""
        if not self._paused:
            self._media.note(self._clock.now_ns(), media_ns)

    def pause(self) -> None:
        """Close the camera until `resume`."""
        self._paused = True
        self._media.restart()
        self._camera.stop()

    def resume(self) -> None:
        """Open it again."""
        self._paused = False
        self._camera.start()

    def stop(self) -> None:
        """No turn wants anything any more."""
        self._scope.cancel()

    def state(self) -> VideoState:
        """How it goes."""
        on = self._camera.newest() is not None
        return VideoState(
            source=str(self._camera.name),
            live=True,
            on=on,
            rate_hz=self._pace.rate_hz,
            dropped=self._dropped,
            lost=self._camera.lost,
            drift_ppm=self._media.drift_ppm,
        )
