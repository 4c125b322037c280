"""Sounds from log odds, and the network on people who laugh, cough and talk."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.assets import SOUND_DETECTOR, asset_folder
from adapters.datasets.sound import read_mono
from adapters.errors import AdapterError
from adapters.features.sounds import HOP_S, KINDS, RATE_HZ, WINDOW_S, SoundDetector, sounds_in

CLASSES = 521
SILENT = -12.0


def _scores(*windows: dict[int, float]) -> np.ndarray:
    rows = np.full((len(windows), CLASSES), SILENT, np.float32)
    for row, window in zip(rows, windows, strict=True):
        for number, value in window.items():
            row[number] = value
    return rows


LAUGH, SOB, COUGH, SPEECH = 13, 19, 42, 0


def test_neighbours_with_the_same_sound_are_one() -> None:
    found = sounds_in(_scores({}, {LAUGH: 1.0}, {15: 3.0}, {}, {COUGH: 5.0}), 10.0)
    assert [(sound.label, sound.start_s, sound.end_s) for sound in found] == [
        ("laughter", HOP_S, pytest.approx(2 * HOP_S + WINDOW_S)),
        ("cough", pytest.approx(4 * HOP_S), pytest.approx(4 * HOP_S + WINDOW_S)),
    ]
    assert found[0].confidence == pytest.approx(1 / (1 + np.exp(-(3.0 - KINDS["laughter"].least))))


def test_speech_hides_what_is_no_louder() -> None:
    assert not sounds_in(_scores({LAUGH: 1.0, SPEECH: 2.0}), 1.0)
    assert [one.label for one in sounds_in(_scores({LAUGH: 1.0, SPEECH: -1.0}), 1.0)] == ["laughter"]


def test_a_window_has_one_sound() -> None:
    """The one that is furthest beyond what it needs."""
    assert [one.label for one in sounds_in(_scores({LAUGH: 2.0, SOB: 0.0}), 1.0)] == ["laughter"]
    assert [one.label for one in sounds_in(_scores({LAUGH: 0.0, SOB: 3.0}), 1.0)] == ["crying"]


@given(st.lists(st.lists(st.floats(-15, 10, width=32), min_size=4, max_size=4), min_size=1, max_size=8))
def test_sounds_lie_in_the_audio_and_are_sure_by_half_at_least(rows: list[list[float]]) -> None:
    windows = [dict(zip((LAUGH, SOB, COUGH, SPEECH), row, strict=True)) for row in rows]
    seconds = len(rows) * HOP_S + 0.1
    for sound in sounds_in(_scores(*windows), seconds):
        assert 0 <= sound.start_s < sound.end_s <= seconds
        assert 0.5 <= sound.confidence <= 1


def test_a_folder_without_the_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="pull yamnet"):
        SoundDetector(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"no network")
    with pytest.raises(AdapterError, match="pull yamnet"):
        SoundDetector(tmp_path)


@pytest.fixture(scope="module")
def detector() -> SoundDetector:
    if not asset_folder(SOUND_DETECTOR).is_dir():
        pytest.skip("yamnet is not pulled: tracker assets pull")
    return SoundDetector()


def test_silence_and_the_shortest_audio_have_no_sounds(detector: SoundDetector) -> None:
    for samples in (0, 1, 399, 400, 15_000, 3 * RATE_HZ):
        assert detector(np.zeros(samples, np.float32)) == []


def test_the_same_audio_gives_the_same_scores_whatever_follows(detector: SoundDetector) -> None:
    samples = (0.1 * np.random.default_rng(0).standard_normal(3 * RATE_HZ)).astype(np.float32)
    whole = detector.scores(samples)
    part = detector.scores(samples[: 2 * RATE_HZ])
    assert np.array_equal(whole[:2], part[:2])


@pytest.mark.parametrize(("kind", "label", "least"), [("laughing", "laughter", 0.8), ("coughing", "cough", 0.9)])
def test_people_who_laugh_or_cough(
    data_dir: Path, detector: SoundDetector, kind: str, label: str, least: float
) -> None:
    clips = sorted((data_dir / "nonverbal" / kind).iterdir())
    found = [label in {sound.label for sound in detector(read_mono(clip))} for clip in clips]
    assert np.mean(found) >= least


def test_people_who_talk(data_dir: Path, detector: SoundDetector) -> None:
    """Two and a half minutes of meetings, and the call."""
    for clip in [*sorted((data_dir / "meetings").glob("*.flac")), data_dir / "telephone" / "sample.flac"]:
        assert not [sound for sound in detector(read_mono(clip)) if sound.label in ("laughter", "crying", "scream")], (
            clip
        )
