"""Reads frames as a recording gives them back, and records them if the session is to keep its video."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import chain
from typing import final

from tracker.observe.video.records import Box, FrameFaces
from tracker.sources.recorded_video import VideoWriter, as_recorded_frame, encode_jpeg
from tracker.sources.video import Image, OpenCV, VideoFrame

_MARGIN = 0.3  # of a face's size, around it, that is blurred with it
_SQUARES = 8  # to each side of a blurred face
_BLUR_FOR = 10  # frames for which a face's place stays blurred although it was not found again


@final
class RecordingReader:
    """Reads the frames of one session, in order; use from one thread at a time.

    Args:
        read: The faces of a frame.
        cv2: The module.
        writer: Records each frame, or None.
        blur: Whether to blur faces in the recording.
        report: Takes one sentence for the user where the recording fails; the session goes on without it.
    """

    def __init__(
        self,
        read: Callable[[VideoFrame], FrameFaces],
        cv2: OpenCV,
        writer: VideoWriter | None = None,
        blur: bool = False,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._read = read
        self._cv2 = cv2
        self._writer = writer
        self._blur = blur
        self._report = report
        self._recent: deque[tuple[Box, ...]] = deque(maxlen=_BLUR_FOR)

    def __call__(self, frame: VideoFrame) -> FrameFaces:
        """The faces of the next frame."""
        frame = as_recorded_frame(frame, self._cv2)
        faces = self._read(frame)
        self._recent.append(faces.boxes)
        if self._blur and self._writer:
            image = blur_faces(frame.image, chain.from_iterable(self._recent), self._cv2)
            frame = VideoFrame(frame.at_ns, image, encode_jpeg(image, self._cv2))
        self._record(lambda writer: writer.write(frame))
        return faces

    def close(self) -> None:
        """Complete the recording."""
        self._record(VideoWriter.close)

    def _record(self, step: Callable[[VideoWriter], None]) -> None:
        try:
            if self._writer:
                step(self._writer)
        except OSError as error:
            self._writer = None
            self._report(f"the video cannot be recorded: {error.strerror or error}; the frames until now are kept")


def blur_faces(image: Image, faces: Iterable[Box], cv2: OpenCV) -> Image:
    """A copy of an image in which each face is a few squares; a face that was not detected is not blurred."""
    image = image.copy()
    for box in faces:
        wide, high = box.width * _MARGIN, box.height * _MARGIN
        left, top = max(0, int(box.left - wide)), max(0, int(box.top - high))
        part = image[top : int(box.top + box.height + high) + 1, left : int(box.left + box.width + wide) + 1]
        if part.size:
            few = cv2.resize(part, (_SQUARES, _SQUARES), interpolation=cv2.INTER_AREA)
            part[:] = cv2.resize(few, (part.shape[1], part.shape[0]), interpolation=cv2.INTER_NEAREST)
    return image
