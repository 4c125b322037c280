"""Counting sounds in clips and in talk, with a detector that hears what a file's loudness says."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from adapters.contract import Sound
from adapters.evaluation import sounds
from adapters.evaluation.sounds import FOLDERS, TALK, half
from tests.support.program import adapters


class Loud:
    """Takes what is loud for laughter."""

    def __call__(self, samples: np.ndarray) -> list[Sound]:
        return [Sound("laughter", 0.0, 1.0, 0.9)] if np.abs(samples).max() > 0.5 else []


def write(path: Path, level: float, rate: int = 16_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(rate, level), rate)


def test_found_clips_are_counted_by_half_and_talk_by_the_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sounds, "SoundDetector", Loud)
    for folder in FOLDERS:
        for speaker in range(8):
            write(tmp_path / "nonverbal" / folder / f"S{speaker}_1.flac", 0.9 if speaker % 2 else 0.1)
    for name in TALK:
        write(tmp_path / name / "a" / "talk.flac", 0.9 if name == "urdu" else 0.1)
    result = adapters("sounds", "--data", tmp_path)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["talk"] == {"minutes": 0.1, "heard": {"laughter": 1}}
    by_half = told["clips_by_half_of_the_speakers"]
    assert sum(one["clips"] for one in by_half["laughter"]) == 8
    assert sum(one["found"] for one in by_half["laughter"]) == 4
    assert sum(one["found"] for one in by_half["cough"]) == 0
    assert half(Path("S1_1.flac")) == half(Path("S1_99_0.flac"))


def test_what_is_no_sound_of_16_khz_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "SoundDetector", Loud)
    for said, content in (("damaged or no sound file", None), ("8000 Hz", 8_000)):
        clip = tmp_path / "nonverbal" / "laughing" / "S1_1.flac"
        if content:
            write(clip, 0.1, content)
        else:
            clip.parent.mkdir(parents=True)
            clip.write_bytes(b"nothing")
        result = adapters("sounds", "--data", tmp_path)
        assert result.exit_code == 1
        assert said in result.stderr
        assert result.stderr.count("error") == 1
    assert adapters("sounds", "--data", tmp_path / "nowhere").exit_code == 1
