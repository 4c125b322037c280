"""OpenCV, imported only where there is video: audio alone needs none of its system libraries."""

from __future__ import annotations

import os

from tracker.errors import SourceError, needs_extra
from tracker.sources.video import MOST_PIXELS, OpenCV


def load_opencv() -> OpenCV:
    """The module cv2, limited to one thread: video must never take both cores from audio.

    Raises:
        ExtraMissing: It is not installed.
        SourceError: A library that it needs is not installed.
    """
    # OpenCV and its FFmpeg write to the terminal what we report ourselves, or what is not a fault: an absent camera.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))
    try:
        with needs_extra("video", "video", 'set video.source = ""'):
            import cv2
    except ImportError as error:
        raise SourceError(
            f"video: OpenCV cannot be loaded ({error}); install its system libraries (Debian, Ubuntu: apt install "
            'libgl1 libglib2.0-0), or set video.source = ""'
        ) from None
    cv2.setNumThreads(1)
    return cv2
