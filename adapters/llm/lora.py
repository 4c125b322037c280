"""Low-rank adapters (LoRA) beside the linear maps of a frozen LLM: they can be put on and taken off again.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022: a map ``W x`` becomes ``W x + s B A x``,
with ``B`` zero to begin with. They are hooks, so that the LLM's own weights, their names and their digest stay what
they are; taken off, it is the LLM that it was.

Letters: ``rank``, ``to`` and ``of`` the widths of a map's output and input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from adapters.errors import AdapterError

_SCALE = 2.0  # alpha / rank, as is usual


@dataclass(frozen=True, slots=True)
class LoraShape:
    """Sizes; stored in checkpoints.

    Attributes:
        rank: Of every update.
        layers: Layers of the LLM that have one, 1 the first.
        maps: Name within the layer, input and output width of each linear map.
    """

    rank: int
    layers: tuple[int, ...]
    maps: tuple[tuple[str, int, int], ...]


def lora_shape(model: nn.Module, layers: tuple[int, ...], rank: int) -> LoraShape:
    """The shape that fits an LLM: every linear map of some layers.

    Raises:
        AdapterError: Its layers are not where those of Hugging Face's decoders are.
    """
    first = _layer(model, layers[0])
    maps = [
        (name, one.in_features, one.out_features) for name, one in first.named_modules() if isinstance(one, nn.Linear)
    ]
    if not maps:
        raise AdapterError(f"a {type(model).__name__} has no linear maps to adapt")
    return LoraShape(rank, layers, tuple(maps))


class Lora(nn.Module):
    """The updates of one adapter.

    Args:
        shape: Their sizes.
    """

    def __init__(self, shape: LoraShape) -> None:
        super().__init__()
        self.shape = shape
        self.down, self.up = nn.ParameterDict(), nn.ParameterDict()
        for layer in shape.layers:
            for name, of, to in shape.maps:
                key = _key(layer, name)
                self.down[key] = nn.Parameter(torch.randn(shape.rank, of) * of**-0.5)
                self.up[key] = nn.Parameter(torch.zeros(to, shape.rank))

    @contextmanager
    def on(self, model: nn.Module) -> Iterator[None]:
        """Put the updates on an LLM for a while."""
        handles = [one.register_forward_hook(self._hook(key)) for key, one in self._maps(model).items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def put_on(self, model: nn.Module) -> None:
        """Put the updates on an LLM for good, as they are now, in its number format and on its device.

        Raises:
            AdapterError: The LLM has no such maps, or of other widths.
        """
        for key, one in self._maps(model).items():
            down, up = (part[key].detach().to(one.weight) for part in (self.down, self.up))
            one.register_forward_hook(_fixed(down, _SCALE * up))

    def _maps(self, model: nn.Module) -> dict[str, nn.Linear]:
        """The linear maps that are updated; all of them, or an error."""
        layers, maps = self.shape.layers, self.shape.maps
        return {_key(layer, one[0]): self._map(model, layer, *one) for layer in layers for one in maps}

    def _map(self, model: nn.Module, layer: int, name: str, of: int, to: int) -> nn.Linear:
        found = dict(_layer(model, layer).named_modules()).get(name)
        if not isinstance(found, nn.Linear) or (found.in_features, found.out_features) != (of, to):
            raise AdapterError(f"layer {layer} of a {type(model).__name__} has no map {name} from {of} to {to}")
        return found

    def _hook(self, key: str) -> Callable[[nn.Module, tuple[Any, ...], Tensor], Tensor]:
        def add(_: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
            x: Tensor = inputs[0]
            down, up = self.down[key].to(x), self.up[key].to(x)
            return output + _SCALE * linear(linear(x, down), up)

        return add


def _fixed(down: Tensor, up: Tensor) -> Callable[[nn.Module, tuple[Any, ...], Tensor], Tensor]:
    def add(_: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        return output + linear(linear(inputs[0], down), up)

    return add


def _key(layer: int, name: str) -> str:
    return f"{layer}-{name.replace('.', '-')}"


def _layer(model: nn.Module, layer: int) -> nn.Module:
    layers = getattr(model, "layers", None)
    if not isinstance(layers, nn.ModuleList) or not 0 < layer <= len(layers):
        raise AdapterError(f"a {type(model).__name__} has no layer {layer} that could be adapted")
    return layers[layer - 1]
