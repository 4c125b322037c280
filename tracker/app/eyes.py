"""Putting together what looks at a session's picture, what keeps what was seen, and what sees its turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adapters.features.visual import FaceEncoder
from tracker.app.video import CameraPicture, FilePicture, FilmPicture, NoPicture, Vision
from tracker.observe.observe import Faces
from tracker.observe.video.detect import FaceDetector
from tracker.observe.video.eye import Eye
from tracker.observe.video.live import CameraWatcher
from tracker.observe.video.look import Looker
from tracker.observe.video.observe import FaceObserver, blind
from tracker.observe.video.sight import Sight
from tracker.observe.video.watch import FileWatcher, NoWatcher, Watcher
from tracker.runtime.clock import Clock, seconds_to_ns
from tracker.sources.camera import Camera, opencv_opener
from tracker.sources.film import Film, film_frames
from tracker.sources.opencv import load_opencv
from tracker.sources.pictures import pictures

_PATIENCE_S = 0.5  # a turn waits so long for the last pictures of a camera


@dataclass(frozen=True, slots=True)
class Eyes:
    """What one session sees with."""

    watcher: Watcher
    sight: Sight
    faces: Faces


def looker(detector: Path, expressions: Path, min_face_px: int) -> Callable[[], Looker]:
    """Makes what looks at one session's pictures: it remembers faces, and its detector serves one thread.

    Args:
        detector: The asset ``centerface``.
        expressions: The asset ``mini-xception-fer``.
        min_face_px: Height under which a face tells nothing, in pixels.
    """
    cv2, reader = load_opencv(), FaceEncoder(expressions)
    return lambda: Looker(FaceDetector(detector, cv2), reader, cv2, min_face_px)


def eyes(vision: Vision, new_looker: Callable[[], Looker] | None, rate_hz: float, offset_ms: int, clock: Clock) -> Eyes:
    """The eyes of one new session.

    Args:
        vision: What is looked at, and what of it is kept.
        new_looker: Makes what looks; None where no face model is loaded, since there is no picture.
        rate_hz: Pictures looked at in a second.
        offset_ms: By how much a camera's pictures arrive later than their sound.
        clock: Times the looking.
    """
    picture = vision.picture
    if isinstance(picture, NoPicture) or new_looker is None:
        return Eyes(NoWatcher(), Sight(None), blind(picture.reason if isinstance(picture, NoPicture) else "no camera"))
    cv2 = load_opencv()
    film = Film(vision.film) if vision.film else None
    eye = Eye(new_looker(), cv2, film, vision.blur, vision.report)
    match picture:
        case CameraPicture(name):
            sight, camera = Sight(_PATIENCE_S), Camera(name, opencv_opener(cv2), clock)
            delay_ns = seconds_to_ns(offset_ms / 1000)
            return Eyes(
                CameraWatcher(camera, eye, sight, clock, rate_hz, delay_ns), sight, FaceObserver(sight, "camera off")
            )
        case FilePicture(path, name):
            frames, unseen = pictures(path, rate_hz), "no picture"
        case FilmPicture(path, name, unseen):
            frames = film_frames(path, cv2)
    sight = Sight(None)
    return Eyes(FileWatcher(name, frames, eye, sight, clock), sight, FaceObserver(sight, unseen))
