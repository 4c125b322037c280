"""The record that video sources produce, and what a session's video may be. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

Image = UInt8[np.ndarray, "height width 3"]
"""A picture in blue, green, red, as OpenCV has them."""

OpenCV = Any
"""The module cv2, which is loaded only where there is video."""

MOST_PIXELS = 8192 * 4352
"""In a picture: what cameras make at most. Larger ones take gigabytes."""

_URLS = ("http://", "https://", "rtsp://", "rtsps://")


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """One frame of a session's video.

    Attributes:
        at_ns: Media time at which it was taken.
        image: The picture.
        jpeg: What the image was decoded from; empty where the frame was not compressed yet.
    """

    at_ns: int
    image: Image
    jpeg: bytes = b""


@dataclass(frozen=True, slots=True)
class CameraName:
    """A camera: a device's index or path, or the URL of one in the network."""

    device: int | str

    def __str__(self) -> str:
        return f"camera {self.device}" if isinstance(self.device, int) else without_login(self.device)


@dataclass(frozen=True, slots=True)
class NoVideo:
    """No video, for a reason that every turn's event gives."""

    reason: str


@dataclass(frozen=True, slots=True)
class FileVideo:
    """The video of a media file whose audio is the session's."""

    path: str
    name: str


@dataclass(frozen=True, slots=True)
class RecordedVideo:
    """The video of a recorded session; ``absent_reason`` is why a turn without frames has none."""

    path: str
    name: str
    absent_reason: str


@dataclass(frozen=True, slots=True)
class CameraVideo:
    """A camera's video."""

    camera: CameraName


VideoSource = NoVideo | FileVideo | RecordedVideo | CameraVideo


def parse_camera(text: str) -> CameraName:
    """A camera's name as a user writes it.

    Raises:
        ValueError: It names neither a device nor a URL of a known kind; the message says what is allowed.
    """
    if text.isdecimal():
        return CameraName(int(text))
    if text.startswith(_URLS) or re.fullmatch(r"/dev/video\d+", text):
        return CameraName(text)
    raise ValueError('must be "", "auto", a device\'s index, /dev/videoN, or an http, https, rtsp or rtsps URL')


def without_login(url: str) -> str:
    """A URL without user and password, for display."""
    scheme, sign, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{sign}{host.rpartition('@')[2]}{slash}{path}" if sign else url
