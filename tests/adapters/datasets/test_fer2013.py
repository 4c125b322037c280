"""FER2013 in both of its formats, broken rows included."""

import io
import zipfile
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
        f"0,{PIXELS.replace('255', '9' * 20)},Training",
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
        "pixels are not 48 x 48 numbers from 0 to 255": 4,
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
        {"images": FACE[None], "labels": np.array([[1]])},
        {"images": FACE[None], "labels": np.array(1)},
        {"images": FACE, "labels": np.array(1)},
        {"images": FACE[None, None], "labels": np.array([[1]])},
        {"images": np.array([object()]), "labels": np.array([1])},
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "Training.npz", **arrays)
    with pytest.raises(AdapterError, match=r"Training\.npz (holds|does not hold)"):
        fer2013.load(tmp_path, "Training")


def _array(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def _archive(images: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("images.npy", images)
        archive.writestr("labels.npy", _array(np.array([1])))
    return file.getvalue()


IMAGES = _array(FACE[None])
PACKED = _archive(IMAGES, zipfile.ZIP_DEFLATED)
PACKED_WITH_LZMA = _archive(IMAGES, zipfile.ZIP_LZMA)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 nonsense",
        IMAGES,
        _archive(b"no array"),
        _archive(IMAGES[:6]),
        _archive(IMAGES.replace(b"}", b" ")),
        _archive(IMAGES.replace(b"(1, 48, 48)", b"(1, 48, 4 8")),
        _archive(IMAGES.replace(b"(1, 48, 48), }" + b" " * 8, b"(999999999, 999999), }")),
        PACKED[:40] + b"\xff" * 100 + PACKED[140:],
        PACKED_WITH_LZMA[:44] + b"\xff" * 100 + PACKED_WITH_LZMA[144:],
        _archive(IMAGES).replace(b"\x14\x00\x00\x00\x00\x00", b"\x14\x00\x01\x00\x00\x00"),  # said to be encrypted
        _archive(IMAGES).replace(b"\x14\x00\x00\x00\x00\x00", b"\x14\x00\x00\x00\x09\x00"),  # of another compression
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "Training.npz").write_bytes(content)
    with pytest.raises(AdapterError, match=r"Training\.npz (holds|does not hold)"):
        fer2013.load(tmp_path, "Training")


def test_no_file(tmp_path: Path) -> None:
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
