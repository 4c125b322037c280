"""The video of a media file, a few frames a second, on the same media clock as its audio (see `decode`)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame as Decoded
from av.video.stream import VideoStream

from tracker.runtime.clock import NS_PER_S
from tracker.sources.decode import open_media, open_regular
from tracker.sources.video import MOST_PIXELS, Image, VideoFrame

log = logging.getLogger(__name__)

_DAMAGED = f"pictures were passed over: they are damaged, or larger than {MOST_PIXELS / 1e6:.0f} megapixels"
_LONGEST_SIDE = 960  # pixels; larger frames are shrunk while their colours are converted


def has_video(path: str) -> bool:
    """Whether a file has a video stream that can be decoded; cover art does not count.

    Raises:
        SourceError: There is no such file, or it may not be read.
    """
    with open_regular(path) as file:
        try:
            with open_media(file) as container:
                return _stream(container) is not None
        except (av.FFmpegError, OSError, ValueError):
            return False


def file_frames(path: str, rate_hz: float) -> Iterator[VideoFrame]:
    """The frames that are shown at 0, 1/rate, 2/rate ... seconds; blocks while decoding.

    Packets that cannot be decoded are left out, and the video ends where it cannot be read further: damaged video
    costs faces, never the session.

    Args:
        path: A file with a video stream.
        rate_hz: Frames a second; where the file has fewer, each is given once.

    Raises:
        SourceError: There is no such file, or it may not be read.
    """
    step_ns = round(NS_PER_S / rate_hz)
    due, waiting = 0, None
    for at_ns, frame in _decoded(path):
        # A frame is shown until the next one comes.
        if waiting is not None and at_ns > due * step_ns:
            yield VideoFrame(due * step_ns, _image(waiting))
            due = -(-at_ns // step_ns)
        waiting = frame
    if waiting is not None:
        yield VideoFrame(due * step_ns, _image(waiting))


def _decoded(path: str) -> Iterator[tuple[int, Decoded]]:
    """Every frame and its media time; those before time 0 belong to it."""
    with open_regular(path) as file:
        damaged = 0
        try:
            with open_media(file) as container:
                stream = _stream(container)
                if stream is None:
                    return
                stream.codec_context.thread_count = 1
                origin_s = (container.start_time or 0) / av.time_base
                for packet in container.demux(stream):
                    try:
                        frames = packet.decode()
                    except av.FFmpegError:
                        damaged += 1
                        continue
                    for frame in frames:
                        if frame.time is not None:
                            yield max(0, round((frame.time - origin_s) * NS_PER_S)), frame
        except (av.FFmpegError, OSError, ValueError):
            return
        finally:
            if damaged:
                log.warning(_DAMAGED, extra={"pictures": damaged})


def _stream(container: av.container.InputContainer) -> VideoStream | None:
    for stream in container.streams.video:
        if stream.codec_context and not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    return None


def _image(frame: Decoded) -> Image:
    scale = min(1.0, _LONGEST_SIDE / max(frame.width, frame.height))
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    return np.ascontiguousarray(_upright(frame.reformat(width, height, "bgr24").to_ndarray(), frame))


def _upright(image: Image, frame: Decoded) -> Image:
    """An image as the file says that it is displayed: a telephone stores how it was held (its display matrix).

    The matrix takes x and y to ``a x + c y`` and ``b x + d y``; all but quarter turns and mirror images are left out.
    """
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return image
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5]
    if abs(b) > abs(a):
        image, a, d = image.transpose(1, 0, 2), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
