"""FER2013 in both of its formats, broken rows included."""

from pathlib import Path

import numpy as np
import pytest

from adapters.contract import MELD_LABELS
from adapters.datasets import fer2013
from adapters.errors import AdapterError

FACE = np.arange(48 * 48).reshape(48, 48).astype(np.uint8)
PIXELS = " ".join(map(str, FACE.ravel()))


def _names(faces: fer2013.Faces) -> list[str]:
    return [MELD_LABELS.labels[label] for label in faces.labels]


def test_the_released_table(tmp_path: Path) -> None:
    grey, short = " ".join(["9"] * 48 * 48), "1 2 3"
    rows = [
        *(f"{emotion},{PIXELS},Training" for emotion in range(7)),
        f"0,{PIXELS},PublicTest",
        f"0,{grey},Training",
        f"0,{short},Training",
        f"0,{PIXELS.replace('255', '256')},Training",
        f"0,{PIXELS.replace('255', 'x')},Training",
        f"7,{PIXELS},Training",
        f"0,{PIXELS},Other",
        "0,1",
    ]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]), encoding="utf-8")
    faces = fer2013.load(tmp_path, "Training")
    assert _names(faces) == ["anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral"]
    np.testing.assert_array_equal(faces.images, np.stack([FACE] * 7))
    assert faces.refused == {
        "of one grey only": 1,
        "pixels are not 48 x 48 numbers from 0 to 255": 3,
        "unknown emotion 7": 1,
        "unknown split 'Other'": 1,
        "more or fewer cells than columns": 1,
    }
    assert len(fer2013.load(tmp_path, "PrivateTest").labels) == 0


def test_arrays(tmp_path: Path) -> None:
    images = np.stack([FACE, FACE, np.zeros_like(FACE)])
    np.savez(tmp_path / "PublicTest.npz", images=images, labels=np.array([4, 9, 0], np.uint8))
    faces = fer2013.load(tmp_path, "PublicTest")
    assert _names(faces) == ["joy"]
    assert faces.refused == {"unknown emotion 9": 1, "of one grey only": 1}


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": FACE[None]},
        {"images": FACE[None].astype(float), "labels": np.array([1])},
        {"images": FACE[None], "labels": np.array([1, 2])},
        {"images": np.array([object()]), "labels": np.array([1])},
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "Training.npz", **arrays)
    with pytest.raises(AdapterError, match=r"Training\.npz (holds|does not hold)"):
        fer2013.load(tmp_path, "Training")


def test_no_archive(tmp_path: Path) -> None:
    (tmp_path / "Training.npz").write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(AdapterError, match="does not hold images and labels"):
        fer2013.load(tmp_path, "Training")
    with pytest.raises(AdapterError, match="no FER2013 split"):
        fer2013.load(tmp_path, "PublicTest")
    with pytest.raises(AdapterError, match="no split 'test'"):
        fer2013.load(tmp_path, "test")


@pytest.mark.data
def test_the_real_fer2013(data_dir: Path) -> None:
    faces = fer2013.load(data_dir / "fer2013", "PublicTest")
    assert len(faces.labels) == 3588
    assert np.bincount(faces.labels).tolist() == [607, 415, 496, 653, 895, 56, 466]
    assert faces.refused == {"of one grey only": 1}
