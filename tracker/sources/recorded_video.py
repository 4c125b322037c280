"""The video of a recorded session: motion JPEG in a Matroska file.

Faces are read from each frame as its JPEG decodes, whether the session is recorded or not, so that a recording gives
the same faces when it runs through the models again.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tracker.runtime.clock import NS_PER_MS
from tracker.sources.decode import open_media, open_regular
from tracker.sources.video import Image, OpenCV, VideoFrame

VIDEO_FILE = "video.mkv"
_QUALITY = 90
_LONGEST_SIDE = 960  # pixels


def as_recorded_frame(frame: VideoFrame, cv2: OpenCV) -> VideoFrame:
    """A frame as a recording gives it back: at whole milliseconds, of limited size, compressed once."""
    if frame.jpeg:
        return frame
    image, scale = frame.image, _LONGEST_SIDE / max(frame.image.shape[:2])
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    jpeg = encode_jpeg(image, cv2)
    return VideoFrame(frame.at_ns // NS_PER_MS * NS_PER_MS, decode_jpeg(jpeg, cv2), jpeg)


def encode_jpeg(image: Image, cv2: OpenCV) -> bytes:
    """An image as JPEG."""
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1])


def decode_jpeg(jpeg: bytes, cv2: OpenCV) -> Image:
    """The image of a JPEG; None, against its type, where it is not a JPEG, or too large (see `load_opencv`)."""
    try:
        image: Image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None  # type: ignore[return-value]
    return image


class VideoWriter:
    """Writes frames to a file, which is created with the first one. Use from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container: Any = None

    def write(self, frame: VideoFrame) -> None:
        """Append a frame's JPEG.

        Raises:
            OSError: The file cannot be written.
        """
        if self._container is None:
            self._container = av.open(str(self._path), "w", format="matroska", options={"cluster_time_limit": "1000"})
            self._stream = self._container.add_stream("mjpeg", rate=Fraction(5))
            self._stream.height, self._stream.width = frame.image.shape[:2]
            self._stream.pix_fmt = "yuvj420p"
            self._stream.codec_context.time_base = Fraction(1, 1000)
        packet = av.Packet(frame.jpeg)
        packet.stream, packet.time_base = self._stream, Fraction(1, 1000)
        packet.pts = packet.dts = frame.at_ns // NS_PER_MS
        packet.is_keyframe = True
        self._container.mux(packet)

    def close(self) -> None:
        """Complete the file.

        Raises:
            OSError: The file cannot be written.
        """
        if self._container is not None:
            self._container.close()
            self._container = None


def recorded_frames(path: str, cv2: OpenCV) -> Iterator[VideoFrame]:
    """The frames of a recorded video at their media times; a truncated file ends where it can no longer be read.

    Raises:
        SourceError: There is no such file, or it may not be read.
    """
    with open_regular(path) as file:
        try:
            with open_media(file, "matroska") as container:
                for packet in container.demux(video=0):
                    image = decode_jpeg(bytes(packet), cv2) if packet.pts is not None and packet.size else None
                    if image is None or max(image.shape[:2]) > _LONGEST_SIDE:
                        continue  # no recording of ours has it
                    if packet.pts is not None and packet.time_base is not None:
                        at_ms = round(packet.pts * packet.time_base * 1000)
                        yield VideoFrame(at_ms * NS_PER_MS, image, bytes(packet))
        except (av.FFmpegError, OSError, ValueError, IndexError):
            return
