"""Sees pictures as a recording would give them back, and records them where that is wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from typing import final

from tracker.observe.video.box import Box
from tracker.observe.video.look import Glimpse
from tracker.sources.film import Film, as_kept, compressed
from tracker.sources.video import Image, OpenCV, VideoFrame

_MARGIN = 0.3  # of a face's size, around it, that is blurred with it
_SQUARES = 8  # to each side of a blurred face
_HIDDEN_FOR = 10  # pictures: where a face was lately, one is hidden although it was not found again


@final
class Eye:
    """Looks at the pictures of one session, in order; use from one thread at a time.

    Args:
        look: What is seen in a picture.
        cv2: The module.
        film: Records what is looked at, or None.
        blur: Whether faces are hidden in what is recorded.
        report: Says one sentence to the user: a film that cannot be written is left behind.
    """

    def __init__(
        self,
        look: Callable[[VideoFrame], Glimpse],
        cv2: OpenCV,
        film: Film | None = None,
        blur: bool = False,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._look = look
        self._cv2 = cv2
        self._film = film
        self._blur = blur
        self._report = report
        self._lately: deque[tuple[Box, ...]] = deque(maxlen=_HIDDEN_FOR)

    def __call__(self, frame: VideoFrame) -> Glimpse:
        """What is seen in the next picture."""
        frame = as_kept(frame, self._cv2)
        glimpse = self._look(frame)
        self._lately.append(glimpse.boxes)
        if self._film:
            self._record(self._film, self._hidden(frame) if self._blur else frame)
        return glimpse

    def close(self) -> None:
        """No more pictures come."""
        if self._film:
            try:
                self._film.close()
            except OSError as error:
                self._give_up(error)

    def _hidden(self, frame: VideoFrame) -> VideoFrame:
        image = blurred(frame.image, list(chain.from_iterable(self._lately)), self._cv2)
        return VideoFrame(frame.at_ns, image, compressed(image, self._cv2))

    def _record(self, film: Film, frame: VideoFrame) -> None:
        try:
            film.write(frame)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._film = None
        self._report(f"the pictures cannot be recorded: {error.strerror or error}; what was recorded is kept")


def blurred(image: Image, faces: Sequence[Box], cv2: OpenCV) -> Image:
    """A picture in which faces are a few squares; where none was found, nothing is hidden."""
    image = image.copy()
    for box in faces:
        wide, high = box.width * _MARGIN, box.height * _MARGIN
        left, top = max(0, int(box.left - wide)), max(0, int(box.top - high))
        part = image[top : int(box.top + box.height + high) + 1, left : int(box.left + box.width + wide) + 1]
        if part.size:
            few = cv2.resize(part, (_SQUARES, _SQUARES), interpolation=cv2.INTER_AREA)
            part[:] = cv2.resize(few, (part.shape[1], part.shape[0]), interpolation=cv2.INTER_NEAREST)
    return image
