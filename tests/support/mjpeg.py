"""A network camera on loopback: serves pictures as MJPEG over HTTP, and can be cut off and put back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

import numpy as np


class MjpegCamera:
    """Shows pictures in turn, so many a second, from the moment it was made; over and over.

    Args:
        pictures: As JPEG.
        rate_hz: Pictures a second.
        shows: Which picture is due so many seconds after the start; each in turn if not given.
        lasts_s: Seconds after its second viewer has come (the first one only checks) at which it goes off for good.
    """

    def __init__(
        self,
        pictures: Sequence[bytes],
        rate_hz: float = 25.0,
        shows: Callable[[float], int] | None = None,
        lasts_s: float = float("inf"),
    ) -> None:
        self.viewers = 0
        self._pictures = pictures
        self._rate_hz = rate_hz
        self._shows = shows or (lambda seconds: int(seconds * rate_hz))
        self._began = time.monotonic()
        self._lasts_s = lasts_s
        self._until = float("inf")
        self._on = threading.Event()
        self._on.set()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://user:secret@127.0.0.1:{self.port}/video.mjpg"

    def begin(self) -> None:
        """The show starts now."""
        self._began = time.monotonic()

    def __enter__(self) -> MjpegCamera:
        self.plug_in()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.unplug()

    def unplug(self) -> None:
        """Cut every viewer off and answer nobody."""
        self._on.clear()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def plug_in(self) -> None:
        """Answer again, on the same port."""
        self._on = threading.Event()
        self._on.set()
        camera, on = self, self._on

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if time.monotonic() > camera._until:
                    return
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                camera.viewers += 1
                if camera.viewers == 2:
                    camera.begin()
                    camera._until = time.monotonic() + camera._lasts_s
                sent = 0
                began = time.monotonic()
                try:
                    while on.is_set() and time.monotonic() < camera._until:
                        jpeg = camera._pictures[camera._shows(time.monotonic() - camera._began) % len(camera._pictures)]
                        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                        self.wfile.write(head.encode() + jpeg + b"\r\n")
                        sent += 1
                        time.sleep(max(0.0, began + sent / camera._rate_hz - time.monotonic()))
                except OSError:
                    pass

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()


def jpegs(images: Sequence[np.ndarray]) -> list[bytes]:
    import cv2

    return [cv2.imencode(".jpg", image)[1].tobytes() for image in images]
