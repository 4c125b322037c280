"""Face features: the network as its makers run it, and no face's features hang on its neighbours."""

from pathlib import Path

import numpy as np
import pytest

from adapters.assets import asset_folder
from adapters.contract import MELD_LABELS
from adapters.datasets import fer2013
from adapters.errors import AdapterError
from adapters.features.visual import CHANNELS, SPEC, FaceEncoder


@pytest.fixture(scope="module")
def reader() -> FaceEncoder:
    folder = asset_folder("mini-xception-fer")
    if not folder.is_dir():
        pytest.skip(f"no weights at {folder}: pull mini-xception-fer")
    return FaceEncoder(folder)


def noise(faces: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(faces, 48, 48), dtype=np.uint8)


@pytest.mark.models
def test_shapes_and_distributions(reader: FaceEncoder) -> None:
    features = reader(noise(3))
    assert (features.shape, features.dtype) == ((3, SPEC.dim), np.float32)
    np.testing.assert_allclose(np.exp(features[:, CHANNELS:]).sum(1), 1, atol=1e-5)
    assert reader(noise(0)).shape == (0, SPEC.dim)


@pytest.mark.models
def test_a_face_is_read_the_same_alone_and_among_others(reader: FaceEncoder) -> None:
    faces = noise(5)
    together = reader(faces)
    assert all((reader(faces[[row]])[0] == together[row]).all() for row in range(5))
    assert (reader(faces[:, ::-1][:, ::-1]) == together).all()  # however the pixels lie in memory


@pytest.mark.models
@pytest.mark.data
def test_it_tells_expressions_apart_as_its_makers_say(reader: FaceEncoder, data_dir: Path) -> None:
    """65.2 % of all of PublicTest, published about 66 %; with pixels in [0, 1] it would be 54 %."""
    faces = fer2013.load(data_dir / "fer2013", "PublicTest")
    guessed = reader(faces.images[::4])[:, CHANNELS:].argmax(1)
    assert np.mean(guessed == faces.labels[::4]) > 0.63
    joy = MELD_LABELS.labels.index("joy")
    assert np.mean(guessed[faces.labels[::4] == joy] == joy) > 0.8


@pytest.mark.models
@pytest.mark.parametrize("faces", [np.zeros((1, 64, 64), np.uint8), np.zeros((1, 48, 48), np.float32)])
def test_faces_of_another_kind(reader: FaceEncoder, faces: np.ndarray) -> None:
    with pytest.raises(ValueError, match="48 x 48 in uint8 are wanted"):
        reader(faces)


def test_a_folder_without_the_network(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"no face network at .*: pull mini-xception-fer"):
        FaceEncoder(tmp_path)


def test_another_network(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"conv2d_1.kernel": np.zeros((3, 3, 1, 8), np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(AdapterError, match="is not mini-XCEPTION"):
        FaceEncoder(tmp_path)
