"""How often sounds beside words are found, and how often they are heard in talk.

Clips of people who laugh, cry and so on (``nonverbal``: Deeply's set, CC BY-NC-ND 4.0, a folder per sound; a name
begins with its speaker), in two halves by the speaker's checksum; and recordings of talk, below which nobody laughs.
One JSON on stdout.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.datasets.records import existing_folder
from adapters.datasets.sound import read_mono
from adapters.features.sounds import RATE_HZ, SoundDetector
from adapters.training.progress import progress

FOLDERS = {"laughing": "laughter", "crying": "crying", "coughing": "cough", "screaming": "scream", "sighing": "sigh"}
"""Of ``nonverbal``, and the sound that is to be found in each."""

TALK = ("meetings", "telephone", "librispeech_pair", "urdu", "emodb", "ravdess")


def half(clip: Path) -> int:
    """Which half of the speakers a clip's is of, 0 or 1."""
    return zlib.crc32(clip.name.partition("_")[0].encode()) % 2


def recalls(detector: SoundDetector, nonverbal: Path) -> dict[str, list[dict[str, int]]]:
    """For each sound and either half of the speakers: how many clips there are, and in how many it is found."""
    found: dict[str, list[dict[str, int]]] = {}
    for folder, label in FOLDERS.items():
        counts: list[dict[str, int]] = [{"clips": 0, "found": 0}, {"clips": 0, "found": 0}]
        for clip in progress(sorted((nonverbal / folder).glob("*.flac")), folder):
            one = counts[half(clip)]
            one["clips"] += 1
            one["found"] += any(sound.label == label for sound in detector(read_mono(clip)))
        found[label] = counts
    return found


def alarms(detector: SoundDetector, recordings: Iterable[Path]) -> dict[str, Any]:
    """Minutes of talk, and how often each sound is heard in it."""
    heard, seconds = Counter[str](), 0.0
    for path in recordings:
        samples = read_mono(path)
        seconds += len(samples) / RATE_HZ
        heard.update(sound.label for sound in detector(samples))
    return {"minutes": round(seconds / 60, 1), "heard": dict(heard)}


def main(data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")]) -> None:
    """Look for sounds in clips of them, and in talk."""
    nonverbal = existing_folder(data / "nonverbal", "nonverbal sounds")
    detector = SoundDetector()
    talk = [path for name in TALK for path in sorted((data / name).rglob("*.flac"))]
    result = {
        "clips_by_half_of_the_speakers": recalls(detector, nonverbal),
        "talk": alarms(detector, progress(talk, "talk")),
    }
    typer.echo(json.dumps(result, indent=2))
