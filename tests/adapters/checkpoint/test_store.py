"""Checkpoints whose files were damaged, or made to do harm: one line that names the file, and little memory."""

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapters.checkpoint import store
from adapters.checkpoint.store import BackboneSpec, Card
from adapters.contract import MELD_LABELS
from adapters.errors import AdapterError
from adapters.features import visual
from adapters.features.acoustic import SPEC
from adapters.llm.prompt import PromptSpec
from adapters.published import checkpoint
from adapters.readout.head import EmotionHead, HeadShape
from adapters.readout.pseudo import PseudoShape

SHAPE = HeadShape(*((1, 3), 64, 7), members=2, words_hidden=4, voice_hidden=4, pseudo=PseudoShape(3, 2), face_hidden=4)
CARD = Card("small", MELD_LABELS, SPEC, BackboneSpec("tiny", "0"), PromptSpec("", 64), SHAPE, video=visual.SPEC)
DEEP = "[" * 100_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    store.save(tmp_path / "adapter", EmotionHead(SHAPE), CARD)
    return tmp_path / "adapter"


def load(folder: Path) -> tuple[EmotionHead, Card]:
    return store.load(folder, SPEC, visual.SPEC)


def rewrite(folder: Path, change: dict[str, Any]) -> None:
    """Change a card, or the parts of it that are tables themselves."""
    card = json.loads((folder / "card.json").read_text())
    for key, value in change.items():
        card[key] = {**card[key], **value} if isinstance(value, dict) and isinstance(card[key], dict) else value
    (folder / "card.json").write_text(json.dumps(card))


def put(folder: Path, weights: bytes) -> None:
    """Put other weights in, with their hash in the card."""
    (folder / "adapter.safetensors").write_bytes(weights)
    rewrite(folder, {"weights_sha256": sha256(weights).hexdigest()})


def refused(folder: Path, name: str, message: str) -> None:
    with pytest.raises(AdapterError, match=message) as refusal:
        load(folder)
    assert str(refusal.value).startswith(str(folder / name))
    assert "\n" not in str(refusal.value)


def test_what_was_saved_is_what_is_loaded(folder: Path) -> None:
    head, card = load(folder)
    torch.manual_seed(0)
    assert replace(card, weights_sha256="") == CARD
    for name, value in EmotionHead(SHAPE).state_dict().items():
        torch.testing.assert_close(head.state_dict()[name], value.half().float(), rtol=0, atol=0)


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '"card"', DEEP, '{"format": ' + DEEP, '{"format": 5}'])
def test_a_file_that_is_no_card(folder: Path, text: str) -> None:
    (folder / "card.json").write_text(text)
    refused(folder, "card.json", "is not a card of an adapter")


@pytest.mark.parametrize("text", [DEEP, "[]", "no JSON"])
def test_a_file_that_is_no_card_of_the_published_method(tmp_path: Path, text: str) -> None:
    (tmp_path / checkpoint.CARD).write_text(text)
    with pytest.raises(AdapterError, match="does not describe an adapter"):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *[({"shape": {"words_hidden": size}}, "words_hidden") for size in ("128", 128.0, True, None, [4])],
        *[({"shape": {"words_hidden": size}}, "sizes of 1 and more") for size in (0, -1)],
        *[({"shape": {name: 0}}, "sizes of 1 and more") for name in ("members", "face_hidden", "width", "classes")],
        *[({"shape": {"pseudo": pseudo}}, "not a card") for pseudo in ([], "x", 3, {"tokens": 0, "question": 1})],
        *[({"shape": {"layers": layers}}, "layers") for layers in (["1", "3"], "13", [1, 3.0], None, [], [1, -1], 3)],
        ({"shape": [1]}, "not a card"),
        ({"labels": {"labels": 7}}, "not a card"),
        *[({"labels": {"labels": labels}}, "labels") for labels in ("abcdefg", [["joy"]] * 7, {"joy": 1})],
        *[
            ({"labels": {"labels": labels}}, "7 classes need|different labels")
            for labels in ([*"abcdef"], [*"abcdefgh"], ["joy"] * 7)
        ],
        ({"sets": {"coverage": 0.9, "limits": {"words": [10**400] * 7}}}, "not a card"),
        ({"audio": {"rate_hz": "x"}}, "rate_hz"),
        ({"video": {"rate_hz": "x"}}, "rate_hz"),
        ({"prompt": {"max_tokens": "384"}}, "max_tokens"),
        ({"prompt": {"max_words": 0}}, "sizes of 1 and more"),
        ({"prompt": {"intro": 3}}, "intro"),
        ({"backbone": {"name": 3}}, r"BackboneSpec\.name"),
        ({"backbone": {"fingerprint": None}}, "fingerprint"),
        ({"name": None}, r"Card\.name"),
        ({"about": None}, "about"),
        ({"weights_sha256": None}, "weights_sha256"),
        ({"format": 5.0}, "format"),
        *[({"format": old}, "this version reads 6: train it again") for old in (2, 3, 4)],
        *[
            ({"labels": {"polarity": polarity}}, "not a card")
            for polarity in (None, [], [{"negative": 2.0}] * 7, [3] * 7)
        ],
    ],
)
def test_a_card_with_something_else_in_a_field(folder: Path, change: dict[str, Any], message: str) -> None:
    rewrite(folder, change)
    refused(folder, "card.json", message)


@pytest.mark.parametrize(
    ("name", "size", "file"),
    [
        ("words_hidden", 10**9, "adapter.safetensors"),
        ("members", 10**9, "adapter.safetensors"),
        ("voice_hidden", 2**62, "card.json"),
        ("width", 10**30, "card.json"),
        ("words_hidden", 10**400, "card.json"),
    ],
)
def test_a_size_that_would_not_fit_into_memory(folder: Path, name: str, size: int, file: str) -> None:
    rewrite(folder, {"shape": {name: size}})
    refused(folder, file, "its card wants|no adapter has the sizes")


def test_a_head_is_built_in_memory_only_where_its_weights_fit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def building(shape: HeadShape) -> EmotionHead:
        built.append(torch.get_default_device().type)
        return EmotionHead(shape)

    monkeypatch.setattr(store, "EmotionHead", building)
    load(folder)
    rewrite(folder, {"shape": {"words_hidden": 400}})
    refused(folder, "adapter.safetensors", r"weight words\.inner\.bias is \(8,\), its card wants \(800,\)")
    assert built == ["meta", "cpu", "meta"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda weights: b"",
        lambda weights: b"garbage" * 10,
        lambda weights: weights[:7],
        lambda weights: weights[: len(weights) // 2],
        lambda weights: weights + b"\0",
        lambda weights: (31).to_bytes(8, "little") + b'{"x":{"dtype":"F16","shape":[9' + weights,
        lambda weights: header({"x": {"dtype": "F16", "shape": [2**63, 0], "data_offsets": [0, 0]}}),
    ],
    ids=["empty", "garbage", "length cut off", "half", "too long", "header cut off", "shape beyond 64 bits"],
)
def test_weights_that_are_no_safetensors_but_have_the_cards_hash(
    folder: Path, damage: Callable[[bytes], bytes]
) -> None:
    put(folder, damage((folder / "adapter.safetensors").read_bytes()))
    refused(folder, "adapter.safetensors", "is no safetensors file")


def header(tensors: dict[str, Any]) -> bytes:
    """A safetensors file without a body."""
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text


def with_weights(folder: Path, tmp_path: Path, change: dict[str, Tensor]) -> None:
    save_file({**load_file(folder / "adapter.safetensors"), **change}, tmp_path / "changed")
    put(folder, (tmp_path / "changed").read_bytes())


@pytest.mark.parametrize(
    "dtype",
    [torch.float8_e4m3fn, torch.float8_e5m2, torch.int8, torch.bool, torch.float64, torch.complex64],
    ids=str,
)
def test_weights_in_an_unknown_number_format(folder: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    with_weights(folder, tmp_path, {"voice.mean_voice": load(folder)[0].voice.mean_voice.to(dtype)})
    refused(folder, "adapter.safetensors", rf"weight voice\.mean_voice is in {dtype}")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_weights_in_a_known_number_format(folder: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    with_weights(folder, tmp_path, {"voice.mean_voice": torch.ones_like(load(folder)[0].voice.mean_voice).to(dtype)})
    assert load(folder)[0].voice.mean_voice.dtype == torch.float32


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 70_000.0, -70_000.0])
def test_weights_that_diverged_are_not_saved_over_those_that_did_not(folder: Path, value: float) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    head = EmotionHead(SHAPE)
    with torch.no_grad():
        head.words.bias[0, 0] = value
    for to in (folder, folder.parent / "new"):
        with pytest.raises(
            AdapterError, match=r"weight words\.bias .* training diverged; .* lower learning rate"
        ) as refusal:
            store.save(to, head, CARD)
        assert "\n" not in str(refusal.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not (folder.parent / "new").exists()
