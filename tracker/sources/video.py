"""The record that video sources produce, and where a session's picture may come from. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

Image = UInt8[np.ndarray, "height width 3"]
"""A picture in blue, green, red, as OpenCV has them."""

OpenCV = Any
"""The module cv2, which is loaded only where there is a picture to look at."""

_URLS = ("http://", "https://", "rtsp://", "rtsps://")


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """One picture of a session.

    Attributes:
        at_ns: Media time at which it was taken.
        image: The picture.
        jpeg: What it was unpacked from, where it was compressed for keeping.
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


def parse_camera(text: str) -> CameraName:
    """A camera's name as a user writes it.

    Raises:
        ValueError: It is no device and no URL that is known; the message says what would be.
    """
    if text.isdecimal():
        return CameraName(int(text))
    if text.startswith((*_URLS, "/dev/video")):
        return CameraName(text)
    raise ValueError('must be "", "auto", a device\'s index, /dev/videoN, or an http, https, rtsp or rtsps URL')


def without_login(url: str) -> str:
    """A URL without user and password, for showing."""
    scheme, sign, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{sign}{host.rpartition('@')[2]}{slash}{path}" if sign else url
