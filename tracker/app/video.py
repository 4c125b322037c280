"""The video of a session, from plain values: a file's own, what of it is recorded, and the steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

from adapters.features.visual import FaceEncoder
from tracker.observe.video.buffer import FrameBuffer
from tracker.observe.video.faces import FaceObserver, no_faces
from tracker.observe.video.reader import FaceDetector, FaceReader
from tracker.observe.video.recorder import RecordingReader
from tracker.observe.video.watcher import CameraWatcher, FileWatcher, NoVideoWatcher, VideoWatcher
from tracker.runtime.clock import Clock, seconds_to_ns
from tracker.sources.camera import Camera, opencv_capture
from tracker.sources.file_video import file_frames, has_video
from tracker.sources.opencv import load_opencv
from tracker.sources.recorded_video import VIDEO_FILE, VideoWriter, recorded_frames
from tracker.sources.video import CameraVideo, FileVideo, NoVideo, RecordedVideo, VideoSource

_CAMERA_TIMEOUT_S = 0.5  # how long a turn waits for a camera's last frames


def _no_report(_: str) -> None:
    """Ignore the sentence."""


@dataclass(frozen=True, slots=True)
class SessionVideo:
    """A session's video, and what of it is recorded.

    Attributes:
        source: Where the frames come from.
        record_to: The file that they are recorded to, or None.
        blur: Whether faces are blurred in that file.
        report: Takes one sentence for the user.
    """

    source: VideoSource
    record_to: Path | None = None
    blur: bool = False
    report: Callable[[str], None] = _no_report

    @property
    def present(self) -> bool:
        """Whether there is video."""
        return not isinstance(self.source, NoVideo)


NO_CAMERA = SessionVideo(NoVideo("no camera"))


@dataclass(frozen=True, slots=True)
class VideoSteps:
    """The steps of one session's video."""

    watcher: VideoWatcher
    buffer: FrameBuffer
    faces: FaceObserver


def file_video(path: str) -> FileVideo | NoVideo:
    """A file's own video, where it has one. Loads nothing but what it takes to be sure that it can be read.

    Raises:
        SourceError: The file cannot be read, or OpenCV cannot be loaded.
    """
    if not has_video(path):
        return NoVideo("no picture")
    load_opencv()
    return FileVideo(path, PurePath(path).name)


def session_video(source: VideoSource, folder: Path | None, blur: bool, report: Callable[[str], None]) -> SessionVideo:
    """The video of one session.

    Args:
        source: Where the frames come from.
        folder: Of the recorded session, where its video is kept.
        blur: Whether faces are blurred in it.
        report: Takes one sentence for the user.
    """
    record_to = folder / VIDEO_FILE if folder and not isinstance(source, NoVideo) else None
    return SessionVideo(source, record_to, blur, report)


def face_readers(detector: Path, expressions: Path, min_face_px: int) -> Callable[[], FaceReader]:
    """Makes a face reader for each session: it follows faces, and its detector serves one thread.

    Args:
        detector: The asset ``centerface``.
        expressions: The asset ``mini-xception-fer``.
        min_face_px: Height below which a face is not read, in pixels.
    """
    cv2, features = load_opencv(), FaceEncoder(expressions)
    return lambda: FaceReader(FaceDetector(detector, cv2), features, cv2, min_face_px)


def video_steps(
    video: SessionVideo, new_reader: Callable[[], FaceReader] | None, rate_hz: float, offset_ms: int, clock: Clock
) -> VideoSteps:
    """The video steps of one new session.

    Args:
        video: Where the frames come from, and what of them is recorded.
        new_reader: Makes a face reader; None where no session has video.
        rate_hz: Frames read in a second.
        offset_ms: By how much a camera's frames arrive later than their audio.
        clock: Times the reading.
    """
    source = video.source
    if isinstance(source, NoVideo) or new_reader is None:
        reason = source.reason if isinstance(source, NoVideo) else "no camera"
        return VideoSteps(NoVideoWatcher(), FrameBuffer(None), no_faces(reason))
    cv2 = load_opencv()
    writer = VideoWriter(video.record_to) if video.record_to else None
    read = RecordingReader(new_reader(), cv2, writer, video.blur, video.report)
    match source:
        case CameraVideo(name):
            buffer, camera = FrameBuffer(_CAMERA_TIMEOUT_S), Camera(name, opencv_capture(cv2), clock)
            watcher = CameraWatcher(camera, read, buffer, clock, rate_hz, seconds_to_ns(offset_ms / 1000))
            return VideoSteps(watcher, buffer, FaceObserver(buffer, "camera off"))
        case FileVideo(path):
            frames, absent_reason = file_frames(path, rate_hz), "no picture"
        case RecordedVideo(path, _, absent_reason):
            frames = recorded_frames(path, cv2)
    buffer = FrameBuffer(None)
    return VideoSteps(
        FileWatcher(source.name, frames, read, buffer, clock), buffer, FaceObserver(buffer, absent_reason)
    )
