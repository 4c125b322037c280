"""Damaged media through everything that opens media, in a process of its own: it may hang, grow or crash.

    python -m tests.support.fuzz_media FOLDER FIRST LAST

Makes small media files in FOLDER and mutates each with every seed from FIRST to LAST. Prints a line for whatever is not
an error of one line that a user can mend, and exits with 1 if there was any. Anything that takes longer than `CASE_S`
ends the process with a traceback; so does more memory than `MEMORY`.
"""

from __future__ import annotations

import faulthandler
import io
import logging
import random
import resource
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import anyio

from tests.support.recordings import hear
from tracker.errors import SourceError
from tracker.sources.file_video import file_frames, has_video
from tracker.sources.files import FileSource
from tracker.sources.opencv import load_opencv
from tracker.sources.recorded_audio import RecordedSource
from tracker.sources.recorded_video import recorded_frames
from tracker.sources.stdin import StdinSource

CASE_S = 20.0
MEMORY = 3 << 30

_SOUND = ("-f", "lavfi", "-i", "sine=440:duration=1:sample_rate=16000")
_SECOND = ("-f", "lavfi", "-i", "sine=660:duration=1:sample_rate=16000")
_PICTURE = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=1")
_FILES: dict[str, tuple[str, ...]] = {
    "pcm.wav": _SOUND,
    "float.wav": (*_SOUND, "-c:a", "pcm_f32le", "-ac", "2"),
    "a.flac": _SOUND,
    "a.mp3": _SOUND,
    "a.m4a": (*_SOUND, "-ac", "8"),
    "a.opus": (*_SOUND, "-ac", "2"),
    "a.webm": (*_SOUND, *_PICTURE, "-c:v", "libvpx", "-deadline", "realtime"),
    "tracks.mkv": (*_SOUND, *_SECOND, "-map", "0", "-map", "1", "-c:a", "aac"),
    "a.mp4": (*_PICTURE, *_SOUND, "-c:v", "mpeg4"),
    "a.aiff": _SOUND,
    "a.avi": (*_PICTURE, *_SOUND, "-c:v", "mjpeg", "-c:a", "mp2"),
    "jpegs.mkv": (*_PICTURE, *_SOUND, "-c:v", "mjpeg", "-c:a", "pcm_s16le"),
    "a.ts": (*_PICTURE, *_SOUND, "-c:v", "mpeg2video", "-c:a", "mp2"),
}
_EXTREMES = (0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0xFFFF)


def make(folder: Path) -> dict[str, bytes]:
    """Small media files of many kinds."""
    for name, arguments in _FILES.items():
        subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments, "-bitexact", str(folder / name)], check=True)
    return {name: (folder / name).read_bytes() for name in _FILES}


def mutated(data: bytes, other: bytes, seed: str) -> bytes:
    """The same damage for the same seed."""
    rng = random.Random(seed)
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(rng.choice((min(len(changed), 512), len(changed))))
        match rng.randrange(7):
            case 0:
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                changed[at] = rng.randrange(256)
            case 2:
                del changed[max(at, 8) :]
            case 3:  # a length, a count, a rate
                changed[at : at + 4] = rng.choice(_EXTREMES).to_bytes(4, rng.choice(("big", "little")))
            case 4:
                size = rng.randrange(1, 400)
                changed[at : at + size] = other[(start := rng.randrange(len(other))) : start + size]
            case 5:
                changed[at:at] = changed[at : at + rng.randrange(1, 400)]
            case _:
                del changed[at : at + rng.randrange(1, 64)]
        changed = changed or bytearray(b"\0")
    return bytes(changed)


def attempts(path: Path, data: bytes) -> dict[str, Callable[[], object]]:
    """Everything that opens media."""
    cv2 = load_opencv()
    return {
        "check": lambda: FileSource(str(path)).check(),
        "mix": lambda: _heard(FileSource(str(path))),
        "separate": lambda: _heard(FileSource(str(path), "separate")),
        "piped": lambda: _heard(StdinSource(io.BytesIO(data))),
        "recorded": lambda: _heard(RecordedSource("x", [(0, path)], 1, 20)),
        "video": lambda: has_video(str(path)),
        "frames": lambda: [*file_frames(str(path), 5.0)],
        "recorded frames": lambda: [*recorded_frames(str(path), cv2)],
    }


def _heard(source: FileSource | StdinSource | RecordedSource) -> None:
    _, error = anyio.run(hear, source)
    if error:
        raise error


def main(folder: Path, first: int, last: int) -> int:
    """Try every file with every seed; returns the exit code."""
    logging.disable(logging.WARNING)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    files = make(folder)
    faults = 0
    for seed in range(first, last + 1):
        for name, data in files.items():
            other = random.Random(f"{seed} {name}").choice(list(files.values()))
            path = folder / f"case{Path(name).suffix}"
            path.write_bytes(changed := mutated(data, other, f"{seed} {name}"))
            for what, attempt in attempts(path, changed).items():
                faulthandler.dump_traceback_later(CASE_S, exit=True)
                try:
                    attempt()
                except SourceError as error:
                    if "\n" in str(error):
                        faults += 1
                        print(f"{name} seed {seed} {what}: {error!r}", flush=True)
                except Exception as error:
                    faults += 1
                    where = traceback.extract_tb(error.__traceback__)[-1]
                    print(f"{name} seed {seed} {what}: {error!r} at {where.filename}:{where.lineno}", flush=True)
                finally:
                    faulthandler.cancel_dump_traceback_later()
            (folder / "last").write_text(f"{name} seed {seed}")
    return min(faults, 1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
