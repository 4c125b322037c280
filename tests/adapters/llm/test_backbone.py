"""The frozen LLM is frozen, and only its lower layers are there."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    GPT2Config,
    MistralConfig,
    Phi3Config,
    PreTrainedConfig,
)

from adapters.errors import AdapterError
from adapters.llm.backbone import Backbone, choose_dtype
from adapters.published.model import load_llm
from tests.support.tiny import ARCHITECTURES, SIZES, WIDTH, write_backbone

OTHERS: dict[str, Callable[[], PreTrainedConfig]] = {
    "gpt2": lambda: GPT2Config(vocab_size=256, n_positions=16, n_embd=WIDTH, n_layer=4, n_head=2),
    "mistral": lambda: MistralConfig(**SIZES),
    "phi3": lambda: Phi3Config(**SIZES),
    "gemma": lambda: GemmaConfig(**SIZES),
}
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


@pytest.mark.parametrize("architecture", OTHERS)
def test_states_of_llms_of_other_makes(tmp_path: Path, architecture: str) -> None:
    torch.manual_seed(0)
    whole = AutoModelForCausalLM.from_config(OTHERS[architecture]()).train(False)
    whole.save_pretrained(tmp_path)
    with torch.no_grad():
        expected = whole(IDS[None], output_hidden_states=True).hidden_states
    states = Backbone.load(tmp_path, [1, 3], device="cpu", dtype="float32").states(IDS)
    torch.testing.assert_close(states, torch.cat([expected[1], expected[3]]))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_states_are_finite_causal_and_leave_the_weights_alone(tmp_path: Path, architecture: str) -> None:
    backbone = Backbone.load(write_backbone(tmp_path, architecture), [1, 3], device="cpu", dtype="float32")
    before = backbone.weights_digest
    states = backbone.states(IDS)
    for place in range(1, len(IDS)):
        other = IDS.clone()
        other[place:] = 200
        torch.testing.assert_close(backbone.states(other)[:, :place], states[:, :place], atol=1e-6, rtol=0)
        assert not torch.equal(backbone.states(other)[:, place:], states[:, place:])
    assert torch.isfinite(states).all()
    assert backbone.weights_digest == before


def test_code_that_comes_with_a_model_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}')
    (tmp_path / "own.py").write_text("raise SystemExit('was run')")
    with pytest.raises(AdapterError, match="no backbone at"):
        Backbone.load(tmp_path, [1], device="cpu")


def without_a_layer(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in weights.items() if "layers.1.mlp" not in name}


def by_other_names(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"x.{name}": value for name, value in weights.items()}


@pytest.mark.parametrize("damage", [without_a_layer, by_other_names])
def test_weights_that_are_missing_are_not_made_up(
    tmp_path: Path, damage: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
) -> None:
    path = write_backbone(tmp_path) / "model.safetensors"
    save_file(damage(load_file(path)), path, metadata={"format": "pt"})
    with pytest.raises(AdapterError, match=r"lacks .* weights of a LlamaModel"):
        Backbone.load(tmp_path, [1, 3], device="cpu")
    with pytest.raises(AdapterError, match=r"lacks .* weights of a LlamaForCausalLM"):
        load_llm(str(tmp_path), "float32", "cpu")


def test_damaged_weights_are_one_line(tmp_path: Path) -> None:
    path = write_backbone(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(AdapterError, match="no backbone at"):
        Backbone.load(tmp_path, [1], device="cpu")
    with pytest.raises(AdapterError, match="no backbone at"):
        load_llm(str(tmp_path), "float32", "cpu")


@pytest.mark.parametrize("device", ["abacus", "meta", "cuda:99"])
def test_a_device_that_is_not_there_is_one_line(tmp_path: Path, device: str) -> None:
    write_backbone(tmp_path)
    with pytest.raises(AdapterError, match=f"cannot use the device '{device}'"):
        Backbone.load(tmp_path, [1], device=device)


def test_weights_in_a_pickle_are_not_read(tmp_path: Path) -> None:
    write_backbone(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "pytorch_model.bin")
    with pytest.raises(AdapterError, match="safetensors"):
        Backbone.load(tmp_path, [1], device="cpu")


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
