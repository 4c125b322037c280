"""Video from files, recordings and cameras, on real ones."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import anyio
import av
import numpy as np
import pytest

from tests.support import TOP
from tests.support.faces import STEP_NS, face, frame_faces, frames
from tests.support.fakes import FakeClock
from tests.support.mjpeg import MjpegCamera, jpegs
from tests.support.sound import until
from tracker.app.video import file_video
from tracker.errors import SourceError
from tracker.observe.video.buffer import FrameBuffer
from tracker.observe.video.recorder import RecordingReader
from tracker.observe.video.records import Box, FrameFaces
from tracker.observe.video.watcher import CameraWatcher
from tracker.runtime.clock import NS_PER_MS, NS_PER_S, SystemClock
from tracker.sources.camera import Camera, check_camera, opencv_capture
from tracker.sources.file_video import file_frames, has_video
from tracker.sources.files import FileSource
from tracker.sources.media import RATE_HZ
from tracker.sources.opencv import load_opencv
from tracker.sources.recorded_video import VideoWriter, as_recorded_frame, recorded_frames
from tracker.sources.video import MOST_PIXELS, CameraName, NoVideo, VideoFrame, parse_camera

cv2 = pytest.importorskip("cv2", reason="OpenCV cannot be loaded (Debian: apt install libgl1)", exc_type=ImportError)
load_opencv()
pytestmark = pytest.mark.anyio


def ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True)


@pytest.fixture(scope="module")
def flash(tmp_path_factory) -> Path:
    """Three seconds at 25 pictures a second: white from 1.2 to 1.4 s, and a click at 1.2 s."""
    clip = tmp_path_factory.mktemp("clip") / "flash.mp4"
    ffmpeg(
        *("-f", "lavfi", "-i", "color=black:s=64x36:r=25:d=3,drawbox=c=white:t=fill:enable='between(t,1.199,1.399)'"),
        *("-f", "lavfi", "-i", "aevalsrc='0.9*gte(t,1.2)*lt(t,1.21)':s=16000:d=3"),
        *("-c:v", "libx264", "-bf", "2", "-c:a", "aac", str(clip)),
    )
    return clip


async def test_flash_and_click_are_at_the_same_media_time(flash):
    white = next(frame.at_ns for frame in file_frames(str(flash), 25) if frame.image.mean() > 128)
    async with FileSource(str(flash)).open() as chunks:
        sound = np.concatenate([chunk.samples async for chunk in chunks])
    click = int(np.argmax(np.abs(sound) > 0.3)) / RATE_HZ
    assert white == pytest.approx(1.2 * NS_PER_S, abs=NS_PER_S / 25)
    assert click == pytest.approx(1.2, abs=1 / 25)
    assert abs(white / NS_PER_S - click) <= 1 / 25


@pytest.mark.parametrize("rate_hz", [2.0, 5.0, 25.0, 50.0])
def test_a_file_gives_each_picture_that_is_shown_when_one_is_due(flash, rate_hz):
    shown = list(file_frames(str(flash), rate_hz))
    step = NS_PER_S / rate_hz
    assert all(a.at_ns < b.at_ns and round(a.at_ns % step) in (0, round(step)) for a, b in pairwise(shown))
    assert len(shown) == pytest.approx(3 * min(rate_hz, 25), abs=1)
    for frame in shown:
        if not 1.16 <= frame.at_ns / NS_PER_S <= 1.2 and not 1.36 <= frame.at_ns / NS_PER_S <= 1.4:
            assert (frame.image.mean() > 128) == (1.2 < frame.at_ns / NS_PER_S < 1.4)


def test_what_has_a_picture(flash, tmp_path):
    ffmpeg("-i", str(flash), "-vn", str(tmp_path / "sound.wav"))
    ffmpeg("-f", "lavfi", "-i", "color=red:s=32x32:d=0.04", "-frames:v", "1", str(tmp_path / "cover.png"))
    cover = ("-map", "0", "-map", "1", "-disposition:v", "attached_pic", str(tmp_path / "song.mp3"))
    ffmpeg("-i", str(tmp_path / "sound.wav"), "-i", str(tmp_path / "cover.png"), *cover)
    (tmp_path / "text.txt").write_text("no media")
    assert has_video(str(flash))
    assert not any(has_video(str(tmp_path / name)) for name in ("sound.wav", "song.mp3", "text.txt"))
    with pytest.raises(SourceError, match="no such file"):
        has_video(str(tmp_path / "nothing.mp4"))
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(flash.read_bytes()[:-2000])
    assert list(file_frames(str(damaged), 5.0)) == []  # its index was at its end


def test_a_picture_that_nothing_can_decode_is_none(flash, tmp_path):
    path = tmp_path / "unknown.mkv"
    ffmpeg("-i", str(flash), "-c:v", "mjpeg", "-c:a", "copy", str(path))
    assert has_video(str(path))
    path.write_bytes(path.read_bytes().replace(b"V_MJPEG", b"V_MJPEX"))
    assert not has_video(str(path))
    assert list(file_frames(str(path), 5.0)) == []
    FileSource(str(path)).check()


def test_what_a_session_looks_at(flash, tmp_path):
    ffmpeg("-i", str(flash), "-vn", str(tmp_path / "sound.wav"))
    sound = str(tmp_path / "sound.wav")
    assert file_video(str(flash)).name == "flash.mp4"  # type: ignore[union-attr]
    assert file_video(sound) == NoVideo("no picture")


def test_pictures_that_are_too_large_are_passed_over_and_said(flash, monkeypatch, caplog):
    picture = next(file_frames(str(flash), 5.0)).image
    monkeypatch.setattr("tracker.sources.decode.MOST_PIXELS", picture.shape[0] * picture.shape[1] - 1)
    assert list(file_frames(str(flash), 5.0)) == []
    assert caplog.messages == ["pictures were passed over: they are damaged, or larger than 36 megapixels"]


_TOO_LARGE = """
import numpy as np
from tracker.sources.opencv import load_opencv
from tracker.sources.recorded_video import decode_jpeg, encode_jpeg
cv2 = load_opencv()
assert 6000 * 5900 < MOST_PIXELS < 6000 * 6000
for width, refused in ((5900, False), (6000, True)):
    picture = np.zeros((6000, width, 3), np.uint8)
    assert (decode_jpeg(encode_jpeg(picture, cv2), cv2) is None) == refused
"""


def test_a_recorded_picture_that_is_too_large_is_none():
    """In a process of its own: OpenCV reads its limit as it is loaded."""
    lines = f"MOST_PIXELS = {MOST_PIXELS}{_TOO_LARGE}"
    subprocess.run([sys.executable, "-c", lines], check=True, env=os.environ | {"PYTHONPATH": str(TOP)})


@pytest.mark.parametrize("text", ["/dev/video", "/dev/video0/../../etc/passwd", "/dev/videos.m3u8", "/dev/video0 "])
def test_a_camera_of_this_machine_has_a_number(text):
    with pytest.raises(ValueError, match="must be"):
        parse_camera(text)


@pytest.mark.parametrize("text", ["file:///etc/passwd", "camera", "-1", "/etc/passwd", "ftp://h/v", "concat:a|b"])
def test_no_other_thing_is_opened_as_a_camera(text):
    with pytest.raises(ValueError, match="must be"):
        parse_camera(text)


def test_a_cameras_login_is_not_shown():
    assert str(parse_camera("rtsp://me:secret@cam.example/live")) == "rtsp://cam.example/live"
    assert str(parse_camera("http://cam.example/a@b")) == "http://cam.example/a@b"


def noise(count: int) -> list[VideoFrame]:
    rng = np.random.default_rng(0)
    images = [cv2.GaussianBlur(rng.integers(0, 255, (90, 160, 3), np.uint8), (0, 0), 1) for _ in range(count)]
    return [VideoFrame(i * STEP_NS + 123_456, image) for i, image in enumerate(images)]


def test_what_is_seen_is_what_can_be_seen_again(tmp_path):
    seen: list[VideoFrame] = []

    def look(frame: VideoFrame) -> FrameFaces:
        seen.append(frame)
        return frame_faces(0)

    read = RecordingReader(look, cv2, VideoWriter(tmp_path / "video.mkv"))
    for frame in noise(12):
        read(frame)
    read.close()
    first = list(seen)
    again = list(recorded_frames(str(tmp_path / "video.mkv"), cv2))
    assert [frame.at_ns for frame in again] == [i * STEP_NS for i in range(12)]
    second = RecordingReader(look, cv2, VideoWriter(tmp_path / "again.mkv"))
    for frame in again:
        second(frame)
    second.close()
    for a, b in zip(first, seen[12:], strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        assert (a.at_ns, a.jpeg) == (b.at_ns, b.jpeg)
    # Any program can show it.
    ffmpeg("-i", str(tmp_path / "video.mkv"), "-f", "null", "-")
    torn = tmp_path / "torn.mkv"
    torn.write_bytes((tmp_path / "video.mkv").read_bytes()[:-3000])
    assert 0 < len(list(recorded_frames(str(torn), cv2))) <= 12


def test_faces_are_hidden_where_they_were_lately(tmp_path):
    box = Box(40, 20, 30, 40)
    given = [(box,), (), ()]
    read = RecordingReader(
        lambda _: FrameFaces(0, (), "no face", given.pop(0)), cv2, VideoWriter(tmp_path / "video.mkv"), blur=True
    )
    shown = noise(3)
    for frame in shown:
        read(frame)
    read.close()
    for frame, kept in zip(shown, recorded_frames(str(tmp_path / "video.mkv"), cv2), strict=True):
        was = as_recorded_frame(frame, cv2).image.astype(int)
        changed = np.abs(was - kept.image).mean(axis=2)
        assert changed[24:56, 44:66].mean() > 3 * changed[:, 100:].mean() > 0


def test_a_video_that_cannot_be_written_costs_no_session(tmp_path):
    said: list[str] = []
    read = RecordingReader(
        lambda _: frame_faces(0, face()), cv2, VideoWriter(tmp_path / "nowhere" / "video.mkv"), report=said.append
    )
    for frame in noise(3):
        assert read(frame).faces
    read.close()
    assert said == ["the video cannot be recorded: No such file or directory; the frames until now are kept"]


class Script:
    """A camera that gives so many pictures, then fails; each opening takes the next number."""

    def __init__(self, counts: list[int]) -> None:
        self.counts = counts
        self.opened = 0
        self.released = 0
        self.more = threading.Semaphore(0)

    def __call__(self, name: CameraName) -> "Script":
        self.opened += 1
        self._left = self.counts.pop(0) if self.counts else 0
        return self

    def isOpened(self) -> bool:
        return self._left > 0

    def read(self) -> tuple[bool, np.ndarray | None]:
        self._left -= 1
        self.more.acquire()
        return self._left >= 0, np.zeros((4, 4, 3), np.uint8)

    def release(self) -> None:
        self.released += 1


def test_a_camera_that_goes_away_is_opened_again(monkeypatch):
    monkeypatch.setattr("tracker.sources.camera._FIRST_WAIT_S", 0.0)
    script = Script([2, 0, 0, 2])
    camera = Camera(CameraName(0), script, SystemClock())
    camera.start()
    script.more.release(2)
    until(lambda: script.opened == 4, "it is opened again")
    assert (camera.lost, camera.newest()) == (1, None)
    script.more.release()
    until(lambda: camera.newest() is not None, "there is a picture again")
    camera.stop()
    script.more.release(5)
    assert camera.join()
    assert camera.newest() is None
    assert script.released == script.opened


def test_a_camera_that_is_not_there_is_said_at_once():
    with pytest.raises(SourceError, match=r"camera 7 gives no frames; see tracker devices, or set video.source"):
        check_camera(CameraName(7), Script([0]))


async def watched(
    camera: MjpegCamera, seconds: float, at: dict[float, Callable[[], None]], delay_ns: int = 0
) -> tuple[list[tuple[int, int | str | None]], CameraWatcher]:
    """What is seen beside a sound that begins with the camera's show: media time, and which picture or why none."""
    seen: list[tuple[int, int | str | None]] = []

    class Note:
        def __call__(self, frame: VideoFrame) -> FrameFaces:
            seen.append((frame.at_ns, round(float(frame.image.mean()) / 2)))
            return FrameFaces(frame.at_ns, (), "no face")

        def close(self) -> None:
            pass

    class Noted(FrameBuffer):
        async def put(self, frame: FrameFaces) -> None:
            if frame.no_face == "camera off":
                seen.append((frame.at_ns, "camera off"))

    clock = SystemClock()
    grabber = Camera(parse_camera(camera.url), opencv_capture(cv2), clock)
    watcher = CameraWatcher(grabber, Note(), Noted(0.5), clock, 5.0, delay_ns)
    due = sorted(at.items())
    async with anyio.create_task_group() as group:
        group.start_soon(watcher.watch)
        with anyio.fail_after(10):
            while grabber.newest() is None:
                await anyio.sleep(0.01)
        camera.begin()
        began_ns = clock.now_ns()
        for block in range(1, round(seconds * 50)):
            await clock.sleep_until_ns(began_ns + block * 20 * NS_PER_MS)
            watcher.audio_reached(block * 20 * NS_PER_MS)
            if due and block >= due[0][0] * 50:
                await anyio.to_thread.run_sync(due.pop(0)[1])
        watcher.stop()
    return seen, watcher


async def test_a_network_cameras_pictures_are_stamped_with_the_sounds_time_and_it_may_be_cut_off():
    """Picture number n is shown at n/25 s of the sound: its number says when it was taken."""
    shown = jpegs([np.full((48, 64, 3), 2 * index, np.uint8) for index in range(125)])
    with MjpegCamera(shown) as camera:
        check_camera(parse_camera(camera.url), opencv_capture(cv2))
        seen, watcher = await watched(camera, 4.5, {1.5: camera.unplug, 2.2: camera.plug_in})
    pictures_seen = [(at_ns, number) for at_ns, number in seen if isinstance(number, int)]
    assert len(pictures_seen) >= 8
    late = [at_ns / NS_PER_S - number / 25 for at_ns, number in pictures_seen]
    # Within one picture of the camera, and what a loaded machine adds.
    assert -0.04 <= float(np.median(late)) <= 0.06
    off = [at_ns for at_ns, number in seen if number == "camera off"]
    assert off
    assert min(off) > 1.4 * NS_PER_S
    assert any(at_ns > max(off) for at_ns, _ in pictures_seen)
    assert watcher.state().lost == 1
    assert "secret" not in watcher.state().source


async def test_watching_says_how_it_goes():
    camera = Camera(CameraName(0), Script([0]), FakeClock())
    watcher = CameraWatcher(camera, RecordingReader(lambda _: frame_faces(0), cv2), FrameBuffer(0.5), FakeClock(), 5.0)
    state = watcher.state()
    assert (state.source, state.on, state.dropped) == ("camera 0", False, 0)
    assert list(frames(2))[1].at_ns == STEP_NS


TURNED = {  # the display matrix's a, b, c, d: what is seen of an F
    "as it is": ((1, 0, 0, 1), lambda image: image),
    "to the left": ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
    "upside down": ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    "to the right": ((0, 1, -1, 0), lambda image: np.rot90(image, 3)),
    "mirrored": ((-1, 0, 0, 1), np.fliplr),
    "upside down and mirrored": ((1, 0, 0, -1), np.flipud),
}


@pytest.mark.parametrize("how", TURNED)
def test_a_telephones_video_is_seen_as_it_was_held(how, tmp_path):
    (a, b, c, d), seen = TURNED[how]
    letter = np.zeros((48, 64, 3), np.uint8)
    letter[8:40, 8:20] = letter[8:16, 8:56] = 255
    path = tmp_path / "telephone.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(letter, "bgr24")))
        container.mux(stream.encode())
    written, turned = (
        (np.array([a, b, 0, c, d, 0, 0, 0, 1 << 14]) << 16).astype(">i4").tobytes()
        for a, b, c, d in ((1, 0, 0, 1), (a, b, c, d))
    )
    media = path.read_bytes()
    at = media.index(written, media.index(b"tkhd"))  # of the track, not of the whole file
    path.write_bytes(media[:at] + turned + media[at + len(turned) :])
    image = next(file_frames(str(path), 5)).image
    expected = seen(letter)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 12
