"""A camera, local or in the network: a thread reads every frame and keeps the newest, so that no frame is stale.

A camera that is lost is reopened until it comes back. Meanwhile there are no frames, which is not an error: the
session goes on with audio.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tracker.errors import SourceError
from tracker.runtime.clock import NS_PER_S, Clock
from tracker.sources.video import CameraName, Image, OpenCV

_TIMEOUT_MS = 5000  # a network camera that sends nothing for so long is off
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 4.0
_CLOSE_S = 2.0  # an unplugged device may never finish closing
_RATE_OVER = 50  # frames over which the rate is measured

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class CameraFrame:
    """One frame of a camera.

    Attributes:
        number: Counts the camera's frames.
        arrived_ns: On the monotonic clock.
        image: The picture.
    """

    number: int
    arrived_ns: int
    image: Image


class VideoCapture(Protocol):
    """What OpenCV opens (``cv2.VideoCapture``)."""

    def isOpened(self) -> bool:
        """Whether frames can be expected."""

    def read(self) -> tuple[bool, Any]:
        """Wait for the next frame."""

    def release(self) -> None:
        """Close it."""


OpenCapture = Callable[[CameraName], VideoCapture]


class Camera:
    """Reads frames while started. All methods may be called from any thread.

    Args:
        name: Which camera.
        open_capture: Opens it; blocks.
        clock: Stamps arrivals.

    Attributes:
        lost: How often the camera was lost.
    """

    def __init__(self, name: CameraName, open_capture: OpenCapture, clock: Clock) -> None:
        self.name = name
        self.lost = 0
        self._open = open_capture
        self._clock = clock
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._newest: CameraFrame | None = None
        self._arrivals: deque[int] = deque(maxlen=_RATE_OVER)

    def start(self) -> None:
        """Begin to read frames, in a thread of its own."""
        self._stopped = threading.Event()
        # A daemon, since reading from an unplugged device may never return.
        self._thread = threading.Thread(target=self._read, args=(self._stopped,), name="camera", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the camera soon; there are no frames from now on."""
        self._stopped.set()
        self._newest = None

    def join(self) -> bool:
        """Wait until it is closed, for two seconds at most; False where it is not closed by then."""
        if self._thread:
            self._thread.join(_CLOSE_S)
        return self._thread is None or not self._thread.is_alive()

    def newest(self) -> CameraFrame | None:
        """The newest frame; None where there is none, or the camera has stopped sending."""
        frame = self._newest
        return frame if frame and self._clock.now_ns() - frame.arrived_ns < _TIMEOUT_MS * NS_PER_S // 1000 else None

    @property
    def rate_hz(self) -> float:
        """Frames a second, as they arrived lately; 0 while not known."""
        arrivals = list(self._arrivals)
        span_ns = arrivals[-1] - arrivals[0] if len(arrivals) > 1 else 0
        return (len(arrivals) - 1) * NS_PER_S / span_ns if span_ns else 0.0

    def _read(self, stopped: threading.Event) -> None:
        wait_s, number = _FIRST_WAIT_S, 0
        while not stopped.is_set():
            capture = self._open(self.name)
            try:
                while not stopped.is_set() and capture.isOpened():
                    there, image = capture.read()
                    if not there or stopped.is_set():
                        break
                    number, wait_s = number + 1, _FIRST_WAIT_S
                    now_ns = self._clock.now_ns()
                    self._arrivals.append(now_ns)
                    self._newest = CameraFrame(number, now_ns, image)
            finally:
                capture.release()
            if stopped.is_set():
                return
            if self._newest:
                self.lost += 1
                log.info("camera lost", extra={"camera": str(self.name)})
            self._newest = None
            self._arrivals.clear()
            stopped.wait(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def opencv_capture(cv2: OpenCV) -> OpenCapture:
    """Opens cameras with OpenCV: devices by the system's own interface, URLs by FFmpeg, with a time limit."""

    def open_capture(name: CameraName) -> VideoCapture:
        if isinstance(name.device, int) or name.device.startswith("/dev/"):
            capture = cv2.VideoCapture(name.device)
        else:
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]
            capture = cv2.VideoCapture(name.device, cv2.CAP_FFMPEG, limits)
        return capture  # type: ignore[no-any-return]

    return open_capture


def check_camera(name: CameraName, open_capture: OpenCapture) -> None:
    """Make sure that a camera gives frames; blocks until the first one.

    Raises:
        SourceError: The camera gives none.
    """
    capture = open_capture(name)
    try:
        there = capture.isOpened() and capture.read()[0]
    finally:
        capture.release()
    if not there:
        raise SourceError(f'video: {name} gives no frames; see tracker devices, or set video.source = ""')
