"""A microphone as a source: the side that runs in the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial

import anyio
from anyio import to_thread

from tracker.errors import SourceError, SourceLost
from tracker.runtime.clock import Clock, seconds_to_ns
from tracker.sources.capture import AudioCapture, CapturedBlock
from tracker.sources.devices import AudioDevice, PortAudio, find_device, list_devices, load_portaudio
from tracker.sources.media import RATE_HZ, AudioChunk
from tracker.sources.resample import ChannelMode, Chunker, Converter

_CLOSE_S = 2.0  # an unplugged device may never finish closing

log = logging.getLogger(__name__)


class MicrophoneSource:
    """Records from a device at its native rate, until stopped. The device is open only while the source is iterated.

    Args:
        device: Index, or part of the name; empty for the system's default.
        channels: Mix the channels into one (two at most are opened), or keep one per speaker (up to eight).
        block_ms: Length of a chunk.
        clock: Times the watchdog.
        hold_s: Audio held at most while nothing reads it; then the oldest is dropped and counted.
        silent_s: A device that delivers no data, not even silence, for so long counts as lost.
        portaudio: Replaces the module sounddevice.

    Attributes:
        dropped: Samples lost because they were not read in time.
        overflows: How often the system itself lost audio, an unknown amount each time.
        remarks: What the user should know about its channels.
    """

    name = "mic"
    live = True

    def __init__(
        self,
        device: str,
        channels: ChannelMode = "mix",
        block_ms: int = 20,
        *,
        clock: Clock,
        hold_s: float = 10.0,
        silent_s: float = 3.0,
        portaudio: PortAudio = None,
    ) -> None:
        self.channels = 1
        self.dropped = 0
        self.remarks: tuple[str, ...] = ()
        self._wanted = device
        self._mode: ChannelMode = channels
        self._block_ms = block_ms
        self._clock = clock
        self._hold_s = hold_s
        self._silent_ns = seconds_to_ns(silent_s)
        self._portaudio = portaudio
        self._capture: AudioCapture | None = None
        self._stopped = False
        self._paused = False
        self._lost = ""
        self._changed = anyio.Event()

    @property
    def overflows(self) -> int:
        """How often the system lost audio before it reached the tracker."""
        return self._capture.overflows if self._capture else 0

    def check(self) -> None:
        """Make sure that there is such a device."""
        find_device(list_devices(self._portaudio or load_portaudio()), self._wanted)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[AudioChunk]]:
        """Open the device and begin to record.

        Raises:
            SourceError: There is no such device, it cannot be opened, or PortAudio is missing (on entering).
            SourceLost: The device was lost (while iterating, after what was captured).
        """
        portaudio = self._portaudio or await to_thread.run_sync(load_portaudio)
        device = find_device(await to_thread.run_sync(list_devices, portaudio), self._wanted)
        capture = self._capture = self._new_capture(portaudio, device)
        self.channels = 1 if self._mode == "mix" else capture.channels
        try:
            await to_thread.run_sync(capture.start, abandon_on_cancel=True)
            if self._stopped:
                capture.close()
            log.info("microphone opened", extra={"device": str(device), "rate_hz": capture.rate_hz})
            reopen = partial(self._new_capture, portaudio, device)
            async with aclosing(self._chunks(capture, reopen)) as chunks:
                yield chunks
        finally:
            await self._close(self._capture)

    def stop(self) -> None:
        """Close the device now; what was captured is still delivered."""
        self._stopped = True
        if self._capture:
            self._capture.close()
        self._wake()

    def pause(self) -> None:
        """Close the device now, until `resume`; what was captured is still delivered."""
        self._paused = True
        if self._capture:
            self._capture.close()
        self._wake()

    def resume(self) -> None:
        """Open the device again."""
        self._paused = False
        self._wake()

    def _new_capture(self, portaudio: PortAudio, device: AudioDevice) -> AudioCapture:
        loop = asyncio.get_running_loop()
        return AudioCapture(
            portaudio,
            device,
            separate=self._mode == "separate",
            block_ms=self._block_ms,
            hold_s=self._hold_s,
            clock=self._clock,
            notify=lambda: loop.call_soon_threadsafe(self._wake),
        )

    async def _close(self, capture: AudioCapture) -> None:
        capture.close()
        with anyio.CancelScope(shield=True):
            if not await to_thread.run_sync(capture.join, _CLOSE_S):
                log.warning("microphone does not close", extra={"device": self._wanted})

    def _wake(self) -> None:
        self._changed.set()

    async def _chunks(self, capture: AudioCapture, reopen: Callable[[], AudioCapture]) -> AsyncGenerator[AudioChunk]:
        convert = _Conversion(capture.rate_hz, capture.channels, self._mode, self._block_ms)
        dropped = 0
        while True:
            self._changed = anyio.Event()
            while capture.blocks:
                chunks = convert.feed(capture.blocks.popleft())
                self.dropped = dropped + convert.dropped
                self.remarks = self.remarks or convert.remarks
                for chunk in chunks:
                    yield chunk
            if self._stopped or self._lost:
                break
            if self._paused:
                for chunk in convert.finish():
                    yield chunk
                capture = await self._reopened(capture, reopen)
                dropped = self.dropped
                convert = _Conversion(capture.rate_hz, capture.channels, self._mode, self._block_ms, convert.end)
                continue
            await self._wait(capture)
        for chunk in convert.finish():
            yield chunk
        if self._lost and not self._stopped:
            raise SourceLost(f"mic: {self._lost}; everything until then is kept")

    async def _reopened(self, closed: AudioCapture, reopen: Callable[[], AudioCapture]) -> AudioCapture:
        """Wait until the pause is over and open the device again; the closed capture where the session has ended."""
        await self._close(closed)
        while self._paused and not self._stopped:
            self._changed = anyio.Event()
            await self._changed.wait()
        if self._stopped:
            return closed
        capture = self._capture = reopen()
        try:
            await to_thread.run_sync(capture.start, abandon_on_cancel=True)
        except SourceError as error:
            raise SourceLost(f"{error}; everything until the pause is kept") from error
        if self._stopped or self._paused:
            capture.close()
        return capture

    async def _wait(self, capture: AudioCapture) -> None:
        """Return when something has happened, or the device is lost."""
        if capture.ended:
            self._lost = "the microphone was removed or stopped"
            return
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch, capture, group.cancel_scope, name="microphone watchdog")
            await self._changed.wait()
            group.cancel_scope.cancel()

    async def _watch(self, capture: AudioCapture, waiting: anyio.CancelScope) -> None:
        await self._clock.sleep_until_ns(capture.last_ns + self._silent_ns)
        if self._clock.now_ns() >= capture.last_ns + self._silent_ns:
            self._lost = f"the microphone delivered nothing for {self._silent_ns / 1e9:g} s"
        waiting.cancel()


class _Conversion:
    """Numbered blocks to chunks, with a gap wherever blocks are missing."""

    def __init__(self, rate_hz: int, channels: int, mode: ChannelMode, block_ms: int, begin: int = 0) -> None:
        self._shape: tuple[int, int, ChannelMode] = rate_hz, channels, mode
        self._converter = Converter(*self._shape)
        self._chunker = Chunker(block_ms)
        self._begin = begin  # in samples of ours; the device counts from 0 each time it is opened
        self._chunker.skip_to(begin)
        self._next = 0
        self.dropped = 0

    @property
    def remarks(self) -> tuple[str, ...]:
        return self._converter.remarks

    @property
    def end(self) -> int:
        """Index of the next sample."""
        return self._chunker.end

    def feed(self, block: CapturedBlock) -> list[AudioChunk]:
        chunks = self._jump(block.first) if block.first != self._next else []
        self._next = block.first + len(block.values)
        return chunks + self._chunker.feed(self._converter.feed(block.values))

    def finish(self) -> list[AudioChunk]:
        return self._chunker.feed(self._converter.finish()) + self._chunker.finish()

    def _jump(self, first: int) -> list[AudioChunk]:
        chunks = self.finish()
        self._converter = Converter(*self._shape)
        start = self._begin + first * RATE_HZ // self._shape[0]
        self.dropped += max(0, start - self._chunker.end)
        self._chunker.skip_to(start)
        return chunks
