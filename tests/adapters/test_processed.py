"""Processed feature files, and pickles that must not be trusted."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.datasets.processed import load_mmsa, load_mse
from adapters.datasets.unpickle import unpickle
from adapters.errors import AdapterError


def _write(path: Path, value: Any) -> Path:
    path.write_bytes(pickle.dumps(value))
    return path


def _mse_row(**changes: Any) -> dict[str, Any]:
    features = {
        "text": "Hi.",
        "audio": np.ones((4, 3)),
        "video": np.ones((5, 2), np.float32),
        "audio_len": 2,
        "video_len": np.int64(5),
    }
    return {"features": {**features, **changes}, "label": "joy"}


def test_mse_rows_are_cut_to_their_length(tmp_path: Path) -> None:
    _write(tmp_path / "meld_valid.pkl", [_mse_row()])
    (sample,) = load_mse(tmp_path, "meld", "valid").samples
    assert (sample.text, sample.label) == ("Hi.", "joy")
    assert (sample.audio.shape, sample.video.shape) == ((2, 3), (5, 2))


def test_bad_mse_rows_are_counted(tmp_path: Path) -> None:
    rows = [
        _mse_row(audio_len=0),
        _mse_row(audio_len=9),
        _mse_row(video=np.full((5, 2), np.nan)),
        {"features": {}, "label": 1},
        {**_mse_row(), "label": None},
        {**_mse_row(), "label": float("nan")},
    ]
    _write(tmp_path / "cherma_test.pkl", rows)
    split = load_mse(tmp_path, "cherma", "test")
    assert not split.samples
    assert split.refused == {"a sequence without usable frames": 3, "fields are missing": 1, "no label": 2}


def test_mmsa(tmp_path: Path) -> None:
    columns = {
        "raw_text": np.array(["good", "bad"]),
        "audio": np.ones((2, 4, 3)),
        "vision": np.ones((2, 5, 2)),
        "regression_labels": np.array([1.5, -2.0]),
        "audio_lengths": [4, 1],
        "vision_lengths": [5, 2],
    }
    path = _write(tmp_path / "unaligned_50.pkl", {"valid": columns})
    split = load_mmsa(path, "valid")
    assert [(sample.text, sample.label, len(sample.audio)) for sample in split.samples] == [
        ("good", 1.5, 4),
        ("bad", -2.0, 1),
    ]
    with pytest.raises(AdapterError, match="no split 'test'"):
        load_mmsa(path, "test")


def test_mmsa_without_a_column(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="no audio, vision"):
        load_mmsa(_write(tmp_path / "x.pkl", {"train": {"raw_text": []}}), "train")


def test_something_else_than_a_list(tmp_path: Path) -> None:
    _write(tmp_path / "meld_train.pkl", {"a": 1})
    with pytest.raises(AdapterError, match="holds a dict"):
        load_mse(tmp_path, "meld", "train")


class Bomb:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


@pytest.mark.parametrize("value", [Bomb(), np.array([Bomb()], dtype=object), Path("x"), print])
def test_pickles_that_could_run_code_are_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(AdapterError, match="it wants to use"):
        unpickle(_write(tmp_path / "x.pkl", value))


@pytest.mark.parametrize("content", [b"", b"\x80\x04nonsense", b"not a pickle"])
def test_damaged_pickles_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(AdapterError, match="is refused"):
        unpickle(tmp_path / "x.pkl")


def test_a_missing_pickle(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="no pickle at"):
        unpickle(tmp_path / "x.pkl")


@pytest.mark.parametrize("value", [np.arange(3), np.float32(2), {"a": [1, "b", None, (2.0, b"c")]}])
def test_plain_data_comes_through(tmp_path: Path, value: object) -> None:
    np.testing.assert_equal(unpickle(_write(tmp_path / "x.pkl", value)), value)
