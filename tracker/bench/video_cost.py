"""The cost of a session's video on one thread: ``python -m tracker.bench.video_cost CLIP [--rate 5]``.

Prints the processor seconds for each second of video, of decoding, compressing as for a recording, finding faces and
reading them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from adapters.contract import asset_folder
from adapters.features.visual import FaceEncoder
from tracker.observe.video.reader import FaceDetector, FaceReader
from tracker.observe.video.records import FaceDetection
from tracker.runtime.clock import NS_PER_S
from tracker.sources.file_video import file_frames
from tracker.sources.opencv import load_opencv
from tracker.sources.recorded_video import as_recorded_frame
from tracker.sources.video import Image

_MIN_FACE_PX = 40  # the default of video.min_face_px


class Stopwatch:
    """Adds up this thread's processor time by activity."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._since = time.thread_time()

    def lap(self, activity: str) -> None:
        """Add the time since the last call to an activity."""
        now = time.thread_time()
        self.spent[activity] = self.spent.get(activity, 0.0) + now - self._since
        self._since = now


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one clip and print what it cost."""
    parser = argparse.ArgumentParser(
        prog="python -m tracker.bench.video_cost", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("clip", help="a file with video")
    parser.add_argument("--rate", type=float, default=5.0, help="frames a second; default: 5")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    cv2 = load_opencv()
    detector = FaceDetector(asset_folder("centerface"), cv2)
    expressions = FaceEncoder(asset_folder("mini-xception-fer"))
    watch = Stopwatch()

    def detect(image: Image, width: int) -> list[FaceDetection]:
        watch.lap("other")
        found = detector(image, width)
        watch.lap(f"find faces at {width}")
        return found

    def features(crops: UInt8[np.ndarray, "faces 48 48"]) -> Float32[np.ndarray, "faces dim"]:
        watch.lap("other")
        values = expressions(crops)
        watch.lap("read faces")
        return values

    read = FaceReader(detect, features, cv2, _MIN_FACE_PX)
    coming, frames, faces, last_ns = file_frames(options.clip, options.rate), 0, 0, 0
    while frame := next(coming, None):
        watch.lap("decode")
        recorded = as_recorded_frame(frame, cv2)
        watch.lap("compress")
        faces += len(read(recorded).faces)
        watch.lap("other")
        frames, last_ns = frames + 1, frame.at_ns
    seconds = last_ns / NS_PER_S + 1 / options.rate
    print(f"{options.clip}: {seconds:.1f} s, {frames} frames, {faces} faces; OpenCV {cv2.__version__}, 1 thread")
    for activity, spent in sorted(watch.spent.items(), key=lambda one: -one[1]):
        print(f"  {activity:<22}{spent / seconds:7.3f} s/s {1000 * spent / frames:7.1f} ms a frame")
    total = sum(watch.spent.values())
    print(f"  {'together':<22}{total / seconds:7.3f} s/s {100 * total / seconds:6.1f} % of a core")


if __name__ == "__main__":
    main()
