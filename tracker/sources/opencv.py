"""OpenCV, imported only once there is a picture to look at: sound alone needs none of the libraries that it needs."""

from __future__ import annotations

import os

from tracker.errors import SourceError, needs_extra
from tracker.sources.video import OpenCV


def load_opencv() -> OpenCV:
    """The module cv2, keeping to one thread: looking must never take both cores from listening.

    Raises:
        ExtraMissing: It is not installed.
        SourceError: A library that it needs is not installed.
    """
    # It and its FFmpeg write to the terminal what we say ourselves, or what is no fault: a camera that is away.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        with needs_extra("video", "video", 'set video.source = ""'):
            import cv2
    except ImportError as error:
        raise SourceError(
            f"video: OpenCV cannot be loaded ({error}); install what it needs (Debian, Ubuntu: apt install libgl1 "
            'libglib2.0-0), or set video.source = ""'
        ) from None
    cv2.setNumThreads(1)
    return cv2
