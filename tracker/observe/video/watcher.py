"""Brings the frames of a file or a camera to a `FrameBuffer`, with their faces read, beside the session's audio.

Faces are read in a thread of its own, which never holds up the audio. Every frame of a recording is read, so that the
same file gives the same faces on any machine; a camera's frames are left out where there is no time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, final

import anyio
import anyio.to_thread

from tracker.observe.video.buffer import FrameBuffer
from tracker.observe.video.records import FrameFaces
from tracker.runtime.clock import NS_PER_S, Clock
from tracker.runtime.threads import ModelThread
from tracker.sources.camera import Camera
from tracker.sources.drift import MediaClock
from tracker.sources.video import VideoFrame

_RATE_OVER_NS = 5 * NS_PER_S


class FrameReader(Protocol):
    """Reads the frames of one session, in order (`RecordingReader`)."""

    def __call__(self, frame: VideoFrame) -> FrameFaces:
        """The faces of the next frame."""

    def close(self) -> None:
        """No more frames come."""


@dataclass(frozen=True, slots=True)
class VideoState:
    """The state of a session's video, for display.

    Attributes:
        source: Name of the file or camera; empty where there is no video.
        live: Whether it is a camera.
        on: Whether there are frames; True for a recording that is over.
        rate_hz: Frames read in a second, lately.
        dropped: Frames that were due and not read for lack of time.
        lost: How often the camera was lost.
        drift_ppm: By how many parts per million the audio's clock runs ahead of the one that stamps frames.
    """

    source: str = ""
    live: bool = False
    on: bool = False
    rate_hz: float = 0.0
    dropped: int = 0
    lost: int = 0
    drift_ppm: float = 0.0


class VideoWatcher(Protocol):
    """Reads the video of one session."""

    async def watch(self) -> None:
        """Read frames until stopped, or until there are no more."""

    def audio_reached(self, media_ns: int) -> None:
        """The audio has reached a media time, just now."""

    def pause(self) -> None:
        """Read nothing until `resume`."""

    def resume(self) -> None:
        """Read again."""

    def stop(self) -> None:
        """End; no turn needs frames any more."""

    def state(self) -> VideoState:
        """The state for display."""


@final
class NoVideoWatcher:
    """Reads nothing."""

    async def watch(self) -> None:
        """Nothing."""

    def audio_reached(self, media_ns: int) -> None:
        """Nothing."""

    def pause(self) -> None:
        """Nothing."""

    def resume(self) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""

    def state(self) -> VideoState:
        """No video."""
        return VideoState()


@final
class FileWatcher:
    """Reads a recording's frames, as far as its audio has come.

    Args:
        name: Of the file.
        frames: In time order; blocks while decoding.
        read: The faces of a frame.
        buffer: Filled.
        clock: Times the reading.
    """

    def __init__(
        self, name: str, frames: Iterator[VideoFrame], read: FrameReader, buffer: FrameBuffer, clock: Clock
    ) -> None:
        self._name = name
        self._frames = frames
        self._read = read
        self._buffer = buffer
        self._thread = ModelThread(clock)
        self._rate = RateMeter(clock)
        self._scope = anyio.CancelScope()

    async def watch(self) -> None:
        """Read every frame once the audio has reached it."""
        try:
            with self._scope:
                while frame := (await self._thread.run(lambda: next(self._frames, None))).result:
                    await self._buffer.wait_for_audio(frame.at_ns)
                    faces = (await self._thread.run(lambda frame=frame: self._read(frame))).result  # type: ignore[misc]
                    self._rate.tick()
                    await self._buffer.put(faces)
        finally:
            self._buffer.end()
            with anyio.CancelScope(shield=True):
                await self._thread.run(self._read.close)

    def audio_reached(self, media_ns: int) -> None:
        """Let frames follow."""
        self._buffer.audio_reached(media_ns)

    def pause(self) -> None:
        """Nothing: the frames stand still with the audio."""

    def resume(self) -> None:
        """Nothing."""

    def stop(self) -> None:
        """End."""
        self._scope.cancel()

    def state(self) -> VideoState:
        """The state for display."""
        return VideoState(self._name, on=True, rate_hz=self._rate.rate_hz)


@final
class CameraWatcher:
    """Reads a camera's newest frame so many times a second, stamped with the media time at which it was taken.

    Args:
        camera: Started and stopped here.
        read: The faces of a frame.
        buffer: Filled.
        clock: Paces the reading.
        rate_hz: Frames to read in a second.
        delay_ns: How long a frame takes from the lens to here.
    """

    def __init__(
        self, camera: Camera, read: FrameReader, buffer: FrameBuffer, clock: Clock, rate_hz: float, delay_ns: int = 0
    ) -> None:
        self._camera = camera
        self._read = read
        self._buffer = buffer
        self._clock = clock
        self._step_ns = round(NS_PER_S / rate_hz)
        self._delay_ns = delay_ns
        self._thread = ModelThread(clock)
        self._media = MediaClock()
        self._rate = RateMeter(clock)
        self._dropped = 0
        self._paused = False
        self._last_ns = -1
        self._scope = anyio.CancelScope()

    async def watch(self) -> None:
        """Read until stopped."""
        self._camera.start()
        try:
            with self._scope:
                await self._watch()
        finally:
            self._camera.stop()
            self._buffer.end()
            with anyio.CancelScope(shield=True):
                await self._thread.run(self._read.close)
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
            newest = self._camera.newest()
            if newest is None:
                await self._put(FrameFaces(now_ns, (), "camera off"))
            elif newest.number != number:
                number = newest.number
                at_ns = self._media.media_ns(newest.arrived_ns - self._delay_ns) or 0
                if at_ns > self._last_ns:
                    frame = VideoFrame(at_ns, newest.image)
                    faces = (await self._thread.run(lambda frame=frame: self._read(frame))).result  # type: ignore[misc]
                    self._rate.tick()
                    await self._put(faces)

    async def _put(self, faces: FrameFaces) -> None:
        if faces.at_ns > self._last_ns:
            self._last_ns = faces.at_ns
            await self._buffer.put(faces)

    def audio_reached(self, media_ns: int) -> None:
        """Note when the audio arrived, to know its clock."""
        if not self._paused:
            self._media.note(self._clock.now_ns(), media_ns)

    def pause(self) -> None:
        """Close the camera until `resume`."""
        self._paused = True
        self._media.restart()
        self._camera.stop()

    def resume(self) -> None:
        """Open the camera again."""
        self._paused = False
        self._camera.start()

    def stop(self) -> None:
        """End."""
        self._scope.cancel()

    def state(self) -> VideoState:
        """The state for display."""
        return VideoState(
            source=str(self._camera.name),
            live=True,
            on=self._camera.newest() is not None,
            rate_hz=self._rate.rate_hz,
            dropped=self._dropped,
            lost=self._camera.lost,
            drift_ppm=self._media.drift_ppm,
        )


class RateMeter:
    """How many times a second something happens, over the last five seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times: list[int] = []

    def tick(self) -> None:
        """Count one."""
        self._times = [*self._recent(), self._clock.now_ns()]

    @property
    def rate_hz(self) -> float:
        """Times a second; 0 while not known."""
        recent = self._recent()
        return (len(recent) - 1) * NS_PER_S / (recent[-1] - recent[0]) if len(recent) > 2 else 0.0

    def _recent(self) -> list[int]:
        now_ns = self._clock.now_ns()
        return [time for time in self._times if now_ns - time < _RATE_OVER_NS]
