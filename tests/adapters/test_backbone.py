"""The frozen LLM is frozen, and only its lower layers are there."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from adapters.backbone import Backbone, choose_dtype
from adapters.errors import AdapterError
from tests.adapters.tiny import ARCHITECTURES, WIDTH, write_backbone

IDS = torch.arange(7)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_states_are_those_of_the_whole_model(tmp_path: Path, architecture: str) -> None:
    whole = AutoModelForCausalLM.from_pretrained(write_backbone(tmp_path, architecture), dtype=torch.float32)
    lower = Backbone.load(tmp_path, [1, 3], device="cpu", dtype="float32")
    with torch.no_grad():
        expected = whole(IDS[None], output_hidden_states=True).hidden_states
    states = lower.states(IDS)
    assert states.shape == (2, 7, WIDTH)
    torch.testing.assert_close(states, torch.cat([expected[1], expected[3]]))


def test_layers_above_are_not_loaded(tmp_path: Path) -> None:
    backbone = Backbone.load(write_backbone(tmp_path), [2], device="cpu")
    assert len(backbone._model.layers) == 2


def test_nothing_is_trainable(tmp_path: Path) -> None:
    backbone = Backbone.load(write_backbone(tmp_path), [2], device="cpu")
    assert not any(value.requires_grad for value in backbone._model.parameters())
    assert not backbone.states(IDS).requires_grad


def test_fingerprint_does_not_depend_on_the_number_format(tmp_path: Path) -> None:
    write_backbone(tmp_path)
    exact, rounded = (Backbone.load(tmp_path, [2], device="cpu", dtype=name) for name in ("float32", "bfloat16"))
    assert exact.fingerprint == rounded.fingerprint
    assert exact.weights_digest != rounded.weights_digest


def test_digest_sees_one_changed_number(tmp_path: Path) -> None:
    backbone = Backbone.load(write_backbone(tmp_path), [2], device="cpu")
    before = backbone.weights_digest
    next(backbone._model.parameters())[0, 0] += 1
    assert backbone.weights_digest != before


def test_a_layer_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="layer 5 of a backbone with 4"):
        Backbone.load(write_backbone(tmp_path), [5], device="cpu")


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="nowhere"):
        Backbone.load(tmp_path / "nowhere", [1], device="cpu")


def test_an_unknown_number_format() -> None:
    with pytest.raises(AdapterError, match="int3"):
        choose_dtype("int3", torch.device("cpu"))
