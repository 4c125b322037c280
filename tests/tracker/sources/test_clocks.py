"""A network camera and a virtual microphone, live: how far apart are a flash and a click that belong together?

The microphone plays a file with a click every second; the camera shows pictures that say when they are due on the same
timetable. Player and sound server hold sound back for a time that nobody knows beforehand, as real devices do: it is
measured in the first half, and with it corrected, the second half must agree within one picture.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from tests.support.mjpeg import MjpegCamera, jpegs
from tests.support.sound import SoundCard, absent, until

cv2 = pytest.importorskip("cv2", reason="OpenCV cannot be loaded (Debian: apt install libgl1)", exc_type=ImportError)
_ABSENT = absent()
pytestmark = [pytest.mark.sound, pytest.mark.skipif(bool(_ABSENT), reason=_ABSENT)]

RATE_HZ = 25.0
PICTURES = 250  # ten seconds: the sound may come late; each tells its number by the grey of its halves
CLICKS_S = (0.6, 1.6, 2.6, 3.6, 4.6)

WATCH = """
import asyncio, json, signal, sys
import numpy as np
from tracker.runtime.clock import SystemClock
from tracker.observe.video.watcher import CameraWatcher
from tracker.observe.video.records import FrameFaces
from tracker.observe.video.buffer import FrameBuffer
from tracker.sources.camera import Camera, opencv_capture
from tracker.sources.microphone import MicrophoneSource
from tracker.sources.opencv import load_opencv
from tracker.sources.video import parse_camera

class Note:
    seen = []
    def __call__(self, frame):
        left, right = (round(float(half.mean()) / 15) for half in (frame.image[:, :28], frame.image[:, 36:]))
        self.seen.append((frame.at_ns, 16 * left + right))
        return FrameFaces(frame.at_ns, (), "no face")
    def close(self):
        pass

async def main(url):
    clock = SystemClock()
    source = MicrophoneSource("", clock=clock)
    camera = Camera(parse_camera(url), opencv_capture(load_opencv()), clock)
    watcher = CameraWatcher(camera, Note(), FrameBuffer(0.5), clock, 10.0)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, source.stop)
    watching = asyncio.create_task(watcher.watch())
    heard = []
    async with source.open() as chunks:
        async for chunk in chunks:
            watcher.audio_reached(chunk.end_ns)
            heard.append(chunk.samples)
    watcher.stop()
    await watching
    loud = np.flatnonzero(np.abs(np.concatenate(heard)) > 0.2) / 16_000
    clicks = [float(at) for at, before in zip(loud, [-9.0, *loud]) if at - before > 0.5]
    print(json.dumps({"clicks_s": clicks, "seen": Note.seen}))

asyncio.run(main(sys.argv[1]))
"""


def test_a_camera_and_a_microphone_agree_within_one_picture_once_their_offset_is_known(tmp_path):
    sound = np.zeros(16_000 * 5, np.float32)
    for at_s in CLICKS_S:
        sound[round(at_s * 16_000) : round((at_s + 0.02) * 16_000)] = 0.8
    soundfile.write(tmp_path / "clicks.wav", sound, 16_000)
    halves = [np.repeat([15 * (index // 16), 15 * (index % 16)], 32) for index in range(PICTURES)]
    shown = jpegs([np.broadcast_to(row[None, :, None], (48, 64, 3)).astype(np.uint8) for row in halves])
    shows = lambda seconds: min(PICTURES - 1, int(seconds * RATE_HZ))  # noqa: E731
    with SoundCard() as card, MjpegCamera(shown, RATE_HZ, shows) as camera:
        program = subprocess.Popen(
            [sys.executable, "-c", WATCH, camera.url], env=card.environment, stdout=subprocess.PIPE, text=True
        )
        until(lambda: (card.recorders() and camera.viewers) or program.poll() is not None, "both are open", 30)
        camera.begin()
        card.play(tmp_path / "clicks.wav")
        program.send_signal(signal.SIGINT)
        out, _ = program.communicate(timeout=30)
    told = json.loads(out)
    assert len(told["clicks_s"]) == len(CLICKS_S)
    seen = [(at_ns / 1e9, number / RATE_HZ) for at_ns, number in told["seen"] if 0 < number < PICTURES - 1]
    apart = []  # by how much the pictures around each click are later than it, by the timetable
    for heard_s, due_s in zip(told["clicks_s"], CLICKS_S, strict=True):
        around = [at_s - shown_s for at_s, shown_s in seen if abs(at_s - heard_s) < 0.5]
        apart.append(float(np.median(around)) - (heard_s - due_s))
    offset_s = float(np.mean(apart[:2]))
    print(f"offset {1000 * offset_s:.0f} ms, apart {np.round(apart, 3)} s")
    assert max(abs(one - offset_s) for one in apart[2:]) <= 1 / RATE_HZ
