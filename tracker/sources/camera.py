"""A camera, local or in the network: a thread grabs every picture and keeps the newest, so that none is ever old.

A camera that goes away is tried again until it comes back; meanwhile there is no picture, which is no error: people
are heard all the same.
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

_TIMEOUT_MS = 5000  # a network camera that says nothing for so long is off
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 4.0
_CLOSE_S = 2.0  # a device that was pulled out may never finish closing
_RATE_OVER = 50  # pictures over which the rate is measured

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One picture.

    Attributes:
        number: Counts the camera's pictures.
        arrived_ns: On the monotonic clock.
        image: The picture.
    """

    number: int
    arrived_ns: int
    image: Image


class Capture(Protocol):
    """What OpenCV opens (``cv2.VideoCapture``)."""

    def isOpened(self) -> bool:
        """Whether pictures can be expected."""

    def read(self) -> tuple[bool, Any]:
        """Wait for the next picture."""

    def release(self) -> None:
        """Close it."""


Opener = Callable[[CameraName], Capture]


class Camera:
    """Grabs while started. All methods may be called from any thread.

    Args:
        name: Which camera.
        open_capture: Opens it; blocks.
        clock: Stamps arrivals.

    Attributes:
        lost: How often it went away.
    """

    def __init__(self, name: CameraName, open_capture: Opener, clock: Clock) -> None:
        self.name = name
        self.lost = 0
        self._open = open_capture
        self._clock = clock
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._newest: Shot | None = None
        self._arrivals: deque[int] = deque(maxlen=_RATE_OVER)

    def start(self) -> None:
        """Begin to grab, in a thread of its own."""
        self._stopped = threading.Event()
        # A daemon, since reading from a device that was pulled out may never return.
        self._thread = threading.Thread(target=self._grab, args=(self._stopped,), name="camera", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the camera soon; there is no picture from now on."""
        self._stopped.set()
        self._newest = None

    def join(self) -> bool:
        """Wait a while until it is closed; False where it is not."""
        if self._thread:
            self._thread.join(_CLOSE_S)
        return self._thread is None or not self._thread.is_alive()

    def newest(self) -> Shot | None:
        """The newest picture; None where there is none, or the camera has stopped sending."""
        shot = self._newest
        return shot if shot and self._clock.now_ns() - shot.arrived_ns < _TIMEOUT_MS * NS_PER_S // 1000 else None

    @property
    def rate_hz(self) -> float:
        """Pictures a second, as they arrived lately; 0 while not known."""
        arrivals = list(self._arrivals)
        span_ns = arrivals[-1] - arrivals[0] if len(arrivals) > 1 else 0
        return (len(arrivals) - 1) * NS_PER_S / span_ns if span_ns else 0.0

    def _grab(self, stopped: threading.Event) -> None:
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
                    self._newest = Shot(number, now_ns, image)
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


def opencv_opener(cv2: OpenCV) -> Opener:
    """Opens cameras with OpenCV: devices by the system's own interface, URLs by FFmpeg, with a time limit."""

    def open_capture(name: CameraName) -> Capture:
        if isinstance(name.device, int) or name.device.startswith("/dev/"):
            capture = cv2.VideoCapture(name.device)
        else:
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]
            capture = cv2.VideoCapture(name.device, cv2.CAP_FFMPEG, limits)
        return capture  # type: ignore[no-any-return]

    return open_capture


def check_camera(name: CameraName, open_capture: Opener) -> None:
    """Make sure that a camera gives a picture; blocks until it does or does not.

    Raises:
        SourceError: It does not.
    """
    capture = open_capture(name)
    try:
        there = capture.isOpened() and capture.read()[0]
    finally:
        capture.release()
    if not there:
        raise SourceError(f'video: {name} gives no picture; see tracker devices, or set video.source = ""')
