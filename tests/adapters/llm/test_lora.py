"""Low-rank adapters: nothing at first, something once trained, and the LLM is what it was when they are off."""

from pathlib import Path

import pytest
import torch
from torch import nn

from adapters.errors import AdapterError
from adapters.llm.backbone import Backbone
from adapters.llm.lora import Lora, LoraShape, lora_shape
from tests.support.tiny import ARCHITECTURES, WIDTH, write_backbone

IDS = torch.arange(1, 12)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder = write_backbone(tmp_path_factory.mktemp("llm"), request.param)
    return Backbone.load(folder, [1, 3], device="cpu", dtype="float32")


def _trained(backbone: Backbone, first: int = 2) -> Lora:
    lora = Lora(backbone.lora_shape(first, 4))
    with torch.no_grad():
        for up in lora.up.values():
            up.normal_(std=0.2)
    return lora


def test_fresh_ones_change_nothing(backbone: Backbone) -> None:
    before = backbone.states(IDS)
    with backbone.adapted(Lora(backbone.lora_shape(1, 4))):
        torch.testing.assert_close(backbone.states(IDS), before)


def test_on_they_change_their_layers_and_off_the_llm_is_what_it_was(backbone: Backbone) -> None:
    before, digest, fingerprint = backbone.states(IDS), backbone.weights_digest, backbone.fingerprint
    with backbone.adapted(_trained(backbone)):
        changed = backbone.states(IDS)
        assert (backbone.weights_digest, backbone.fingerprint) == (digest, fingerprint)
    assert torch.equal(changed[0], before[0])  # layer 1, below the first that is adapted
    assert (changed[1] - before[1]).abs().max() > 0.01
    assert torch.equal(backbone.states(IDS), before)


def test_a_dialogue_read_in_parts_is_the_same_with_them_on(backbone: Backbone) -> None:
    with backbone.adapted(_trained(backbone)):
        whole = backbone.states(IDS)
        first, begun = backbone.prefix(IDS[:4])
        _, ended = backbone.prefix(IDS[4:], after=first)
    torch.testing.assert_close(torch.cat([begun, ended], dim=1), whole, atol=1e-5, rtol=1e-4)


def test_gradients_reach_them_and_nothing_else(backbone: Backbone) -> None:
    lora, upper = _trained(backbone), backbone.span(1)
    below = backbone.span(0, 1)
    seen = torch.ones(len(IDS), len(IDS), dtype=torch.bool).tril()
    with backbone.adapted(lora):
        states = below(backbone.embed(IDS), torch.arange(len(IDS)), seen)[0]
        upper(states, torch.arange(len(IDS)), seen).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().max() > 0 for weight in lora.parameters())
    assert all(weight.grad is None for weight in backbone._model.parameters())


def test_layers_in_two_spans_are_the_whole(backbone: Backbone) -> None:
    whole = backbone.states(IDS)
    seen, places = torch.ones(len(IDS), len(IDS), dtype=torch.bool).tril(), torch.arange(len(IDS))
    torch.testing.assert_close(backbone.span(0)(backbone.embed(IDS), places, seen), whole, atol=1e-5, rtol=1e-4)
    (below,) = backbone.span(0, 1)(backbone.embed(IDS), places, seen)
    (both,) = backbone.span(1, 3)(below, places, seen)
    torch.testing.assert_close(torch.stack([below, both]), whole, atol=1e-5, rtol=1e-4)


def test_spans_and_the_whole_are_read_in_any_order(tmp_path: Path) -> None:
    """Each as if it were the first: they share the layers."""
    folder = write_backbone(tmp_path)
    seen, places = torch.ones(len(IDS), len(IDS), dtype=torch.bool).tril(), torch.arange(len(IDS))
    expected = Backbone.load(folder, [1, 3], device="cpu", dtype="float32").states(IDS)
    backbone = Backbone.load(folder, [1, 3], device="cpu", dtype="float32")
    embedded = backbone.embed(IDS)
    for _ in range(2):
        torch.testing.assert_close(backbone.span(0)(embedded, places, seen), expected, atol=1e-5, rtol=1e-4)
        backbone.span(0, 1)(embedded, places, seen)
        torch.testing.assert_close(backbone.states(IDS), expected)


def test_what_is_put_on_can_be_told(tmp_path: Path) -> None:
    folder = write_backbone(tmp_path)
    one, other = (Backbone.load(folder, [1, 3], device="cpu", dtype="float32") for _ in range(2))
    lora = _trained(one)
    one.put_on(lora)
    assert one.lora != other.lora == ""
    with other.adapted(lora):
        torch.testing.assert_close(one.states(IDS), other.states(IDS))
    with torch.no_grad():
        next(iter(lora.up.values())).add_(1.0)
    other.put_on(lora)
    assert other.lora != one.lora


def test_an_llm_of_other_widths_is_refused(backbone: Backbone) -> None:
    shape = backbone.lora_shape(2, 4)
    name, width, to = shape.maps[0]
    wrong = Lora(LoraShape(4, shape.layers, ((name, width + 1, to), *shape.maps[1:])))
    with pytest.raises(AdapterError, match="has no map"):
        wrong.put_on(backbone._model)
    with pytest.raises(AdapterError, match="has no layer 99"):
        Lora(LoraShape(4, (99,), shape.maps)).put_on(backbone._model)


def test_other_networks_are_refused() -> None:
    with pytest.raises(AdapterError, match="no layer 1"):
        lora_shape(nn.Linear(2, 2), (1,), 4)


def test_taken_off_after_a_failure(tmp_path: Path) -> None:
    backbone = Backbone.load(write_backbone(tmp_path), [1, 3], device="cpu", dtype="float32")
    before = backbone.states(IDS)
    with pytest.raises(ZeroDivisionError), backbone.adapted(_trained(backbone)):
        raise ZeroDivisionError
    assert torch.equal(backbone.states(IDS), before)


def test_a_refused_one_leaves_nothing_on(tmp_path: Path) -> None:
    backbone = Backbone.load(write_backbone(tmp_path), [1, 3], device="cpu", dtype="float32")
    before = backbone.states(IDS)
    shape = backbone.lora_shape(1, 4)
    wrong = Lora(LoraShape(4, (1, 99), shape.maps))
    with torch.no_grad():
        for up in wrong.up.values():
            up.normal_()
    with pytest.raises(AdapterError, match="no layer 99"):
        wrong.put_on(backbone._model)
    assert torch.equal(backbone.states(IDS), before)
    assert before.shape == (2, len(IDS), WIDTH)
