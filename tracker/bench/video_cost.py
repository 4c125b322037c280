"""What it costs to look at pictures: processor seconds for each second of video, on one thread.

python -m tracker.bench.video_cost CLIP [--rate 5] prints what decoding, keeping, finding faces and reading them take.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from adapters.contract import asset_folder
from adapters.features.visual import FaceEncoder
from tracker.observe.video.detect import FaceDetector, Found
from tracker.observe.video.look import Looker
from tracker.runtime.clock import NS_PER_S
from tracker.sources.film import as_kept
from tracker.sources.opencv import load_opencv
from tracker.sources.pictures import pictures
from tracker.sources.video import Image


class Stopwatch:
    """Adds up this thread's processor time by what it was spent on."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self.since = time.thread_time()

    def lap(self, what: str) -> None:
        """Add the time since the last call to what was done meanwhile."""
        now = time.thread_time()
        self.spent[what] = self.spent.get(what, 0.0) + now - self.since
        self.since = now


def main() -> None:
    """Measure one clip and print what it cost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clip")
    parser.add_argument("--rate", type=float, default=5.0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2, watch = load_opencv(), Stopwatch()
    detector, reader = (
        FaceDetector(asset_folder("centerface"), cv2),
        FaceEncoder(asset_folder("mini-xception-fer")),
    )

    def detect(image: Image, width: int) -> list[Found]:
        watch.lap("other")
        found = detector(image, width)
        watch.lap(f"find faces at {width}")
        return found

    def read(crops: UInt8[np.ndarray, "faces 48 48"]) -> Float32[np.ndarray, "faces dim"]:
        watch.lap("other")
        features = reader(crops)
        watch.lap("read faces")
        return features

    look, frames, faces, last_ns = Looker(detect, read, cv2, 40), 0, 0, 0
    coming = pictures(given.clip, given.rate)
    watch.lap("loading")
    del watch.spent["loading"]
    while frame := next(coming, None):
        watch.lap("decode")
        kept = as_kept(frame, cv2)
        watch.lap("keep as JPEG")
        faces += len(look(kept).faces)
        watch.lap("other")
        frames, last_ns = frames + 1, frame.at_ns
    seconds = last_ns / NS_PER_S + 1 / given.rate
    print(f"{given.clip}: {seconds:.1f} s, {frames} pictures, {faces} faces; OpenCV {cv2.__version__}, 1 thread")
    for what, spent in sorted(watch.spent.items(), key=lambda one: -one[1]):
        print(f"  {what:<22}{spent / seconds:7.3f} s/s {1000 * spent / frames:7.1f} ms a picture")
    total = sum(watch.spent.values())
    print(f"  {'together':<22}{total / seconds:7.3f} s/s {100 * total / seconds:6.1f} % of a core")


if __name__ == "__main__":
    main()
