"""The part of a microphone that runs in PortAudio's thread: copy, number, hand over.

The callback competes with all other Python code for the interpreter: 10 ms of work in it are a drop-out. So it only
copies. Its queue is bounded: where nothing reads it, the oldest block is dropped, which shows as a gap in the numbers.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from tracker.errors import SourceError
from tracker.runtime.clock import Clock
from tracker.sources.devices import AudioDevice, PortAudio

_MOST_SEPARATE = 8  # a device that claims more is a mixer without a fixed number, and is opened in stereo


class CapturedBlock(NamedTuple):
    """One block, at the device's rate; ``first`` numbers its first frame since the device was opened."""

    first: int
    values: Float32[np.ndarray, "frames channels"]


class AudioCapture:
    """Captures from one device: started once, closed once. All but `start` may be called from any thread.

    Args:
        portaudio: The module sounddevice.
        device: What to record from.
        separate: Whether to keep each of its channels; otherwise it is opened in stereo at most.
        block_ms: Length of a block.
        hold_s: Audio held at most while nothing reads it.
        clock: Stamps the arrival of blocks.
        notify: Called after each block, and when the device stops; must be quick.

    Attributes:
        blocks: What was captured and not yet taken; take from the left.
        overflows: How often the system lost audio before it reached the callback.
        last_ns: When the last block arrived.
        ended: Whether the device has stopped, by itself or because it was closed.
    """

    def __init__(
        self,
        portaudio: PortAudio,
        device: AudioDevice,
        *,
        separate: bool,
        block_ms: int,
        hold_s: float,
        clock: Clock,
        notify: Callable[[], object],
    ) -> None:
        self.channels = device.channels if separate and device.channels <= _MOST_SEPARATE else min(device.channels, 2)
        self.rate_hz = device.default_rate_hz
        self.blocks: deque[CapturedBlock] = deque(maxlen=max(1, round(hold_s * 1000 / block_ms)))
        self.overflows = 0
        self.last_ns = clock.now_ns()
        self.ended = False
        self._portaudio = portaudio
        self._device = device
        self._block = max(1, self.rate_hz * block_ms // 1000)
        self._clock = clock
        self._notify = notify
        self._count = 0
        self._closed = False
        self._lock = threading.Lock()
        self._stream: Any = None
        # A daemon, since closing an unplugged device may never return.
        self._closer = threading.Thread(target=self._close, name="microphone closing", daemon=True)

    def start(self) -> None:
        """Open the device and begin; blocks until it captures.

        Raises:
            SourceError: The device cannot be opened.
        """
        with self._lock:
            if self._closed:
                return
            try:
                self._stream = self._portaudio.InputStream(
                    samplerate=self.rate_hz,
                    blocksize=self._block,
                    device=self._device.index,
                    channels=self.channels,
                    dtype="float32",
                    callback=self._take,
                    finished_callback=self._end,
                )
                self._stream.start()
            except (self._portaudio.PortAudioError, ValueError) as error:
                raise SourceError(f"mic: {self._device.name} cannot be opened: {error}") from error
            self.last_ns = self._clock.now_ns()

    def close(self) -> None:
        """Begin to close the device, in a thread of its own; what was captured stays in `blocks`."""
        if not self._closed:
            self._closed = True
            self._closer.start()

    def join(self, timeout_s: float) -> bool:
        """Wait until it is closed; False if that takes longer."""
        self._closer.join(timeout_s)
        return not self._closer.is_alive()

    def _take(self, values: Float32[np.ndarray, "frames channels"], frames: int, _time: object, status: Any) -> None:
        if self._closed:
            return
        self.blocks.append(CapturedBlock(self._count, values.copy()))
        self._count += frames
        self.last_ns = self._clock.now_ns()
        if status.input_overflow:
            self.overflows += 1
        self._notify()

    def _end(self) -> None:
        self.ended = True
        if not self._closed:
            self._notify()

    def _close(self) -> None:
        with self._lock:
            if self._stream is not None:
                self._stream.abort()
                self._stream.close()
