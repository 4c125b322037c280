"""Voice features: shapes and meaning on made-up sounds; the real encoder where its weights are."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.assets import asset_folder
from adapters.errors import AdapterError
from adapters.features.acoustic import SPEC, STATES, SpeechEncoder, window_s
from adapters.features.prosody import COLUMNS, prosody
from adapters.readout.voice_summary import EVERYTHING, PROSODY, SUMMARY_DIM, summarise

RATE = 16_000


def tone(hz: float, seconds: float = 1.0) -> np.ndarray:
    at = np.arange(int(RATE * seconds)) / RATE
    return (0.1 * sum(np.sin(2 * np.pi * hz * k * at) / k for k in range(1, 8))).astype(np.float32)


@pytest.mark.parametrize("hz", [80.0, 150.0, 220.0, 400.0])
def test_pitch_of_a_tone(hz: float) -> None:
    pitch = prosody(tone(hz), 50)[5:45, COLUMNS.index("pitch_st")]
    assert 27.5 * 2 ** (np.median(pitch) / 12) == pytest.approx(hz, rel=0.02)


def test_noise_has_no_pitch() -> None:
    noise = np.random.default_rng(0).normal(size=RATE).astype(np.float32)
    assert np.mean(prosody(noise, 50)[:, 0] > 0) < 0.1


def test_twice_as_loud_is_six_decibels() -> None:
    level = COLUMNS.index("level_db")
    louder = prosody(2 * tone(150), 50)[10:40, level] - prosody(tone(150), 50)[10:40, level]
    assert louder == pytest.approx(6.02, abs=0.01)


@settings(max_examples=20)
@given(st.integers(1, 2 * RATE), st.sampled_from([0.0, 1e-4, 1.0]))
def test_any_sound_has_finite_prosody(length: int, level: float) -> None:
    samples = (level * np.random.default_rng(length).normal(size=length)).astype(np.float32)
    frames = math.ceil(length / 320)
    values = prosody(samples, frames)
    assert values.shape == (frames, len(COLUMNS))
    summary = summarise(np.concatenate([np.zeros((frames, SPEC.dim - len(COLUMNS)), np.float32), values], axis=1))
    assert summary.shape == (SUMMARY_DIM,)
    assert np.isfinite(summary).all()


def test_views_of_a_summary() -> None:
    assert len(EVERYTHING) == SUMMARY_DIM
    assert set(PROSODY) < set(EVERYTHING)
    assert min(PROSODY) == 2 * STATES


@pytest.mark.parametrize(("turn", "window"), [(0.0, 3.0), (0.2, 3.5), (6.0, 9.0), (28.0, 30.0), (99.0, 30.0)])
def test_windows_fit_the_turn(turn: float, window: float) -> None:
    assert window_s(turn) == window


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="no speech encoder at"):
        SpeechEncoder(tmp_path)


@pytest.fixture(scope="module")
def encoder() -> SpeechEncoder:
    folder = asset_folder("whisper-base")
    if not folder.is_dir():
        pytest.skip(f"no weights at {folder}: pull whisper-base")
    return SpeechEncoder(folder, threads=1)


@pytest.mark.models
@pytest.mark.parametrize("seconds", [0.01, 1.0, 2.53, 31.0])
def test_the_real_encoder_gives_frames_of_the_turn_only(encoder: SpeechEncoder, seconds: float) -> None:
    encoded = encoder.encode(tone(150, seconds))
    assert encoded.features.spec == SPEC
    assert encoded.features.values.shape == (math.ceil(min(seconds, 30) * 50), SPEC.dim)
    assert np.isfinite(encoded.features.values).all()


@pytest.mark.models
def test_the_real_encoder_is_deterministic(encoder: SpeechEncoder) -> None:
    first, second = (encoder.encode(tone(150)).features.values for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.models
def test_the_full_window_reaches_the_decoder(encoder: SpeechEncoder) -> None:
    assert encoder.windows.full(tone(150)).shape == [1, 1500, 512]
