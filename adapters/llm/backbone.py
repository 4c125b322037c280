"""The frozen LLM, read in its middle: token ids in, hidden states of its lower layers out.

Emotion is most readable in the middle of the network, so the layers above the highest one that is read are neither
loaded nor run, and neither are the final norm and the vocabulary head. No weight ever takes a gradient; the digest of
all weights proves that training left them alone.

Letters: ``time`` tokens, ``d`` the LLM's width, ``read`` the layers that are read.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, DynamicCache, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from adapters.errors import AdapterError
from adapters.llm.lora import Lora, LoraShape, lora_shape
from adapters.llm.prefix import Prefix, suffix_mask, suffix_positions

_FINAL_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_device(name: str) -> torch.device:
    """The device that a setting names; ``auto`` is the graphics card where there is one.

    Raises:
        AdapterError: There is none of that name on this machine, or nothing can be computed on it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        where = torch.device(name)
        torch.zeros((), device=where).item()
    except (RuntimeError, AssertionError) as error:  # a build without CUDA answers with an assertion
        raise AdapterError(f"cannot use the device {name!r}: {str(error).splitlines()[0]}") from error
    return where


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The number format that a setting names; ``auto`` is bfloat16 wherever the hardware computes in it.

    A processor with AVX512-BF16 takes 60 % of float32's time; one without converts back and forth and takes more.
    """
    if name == "auto":
        native = device.type != "cpu" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if native else torch.float32
    try:
        return DTYPES[name]
    except KeyError:
        raise AdapterError(f"unknown number format {name!r}: take auto, {', '.join(DTYPES)}") from None


def digest(module: nn.Module, *, rounded: bool = False) -> str:
    """SHA-256 over the names and values of all weights.

    Args:
        module: Whose weights.
        rounded: Round to bfloat16 first, so that one model has one digest in whichever format it was loaded.
    """
    sha = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        kept = value.detach().to("cpu", torch.bfloat16 if rounded else value.dtype).contiguous()
        sha.update(name.encode())
        sha.update(kept.view(torch.uint8).numpy())
    return sha.hexdigest()


def _lower_part(config: PreTrainedConfig, layers: int) -> PreTrainedConfig:
    """The configuration of the same model without the layers above."""
    if not 0 < layers <= config.num_hidden_layers:
        raise AdapterError(f"cannot read layer {layers} of a backbone with {config.num_hidden_layers} layers")
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None) is not None:
        config.layer_types = config.layer_types[:layers]
    config.use_cache = False
    return config


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from reporting on a load."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _added(visible: Bool[Tensor, "time keys"], model: PreTrainedModel) -> Float[Tensor, "1 1 time keys"]:
    """A mask as models add it to their attention scores."""
    hidden = torch.zeros(visible.shape).masked_fill(~visible, torch.finfo(model.dtype).min)
    return hidden[None, None].to(model.device, model.dtype)


def _by_kind(config: Any, mask: Callable[[int | None], Tensor]) -> Any:
    """The mask, or one for each kind of layer: Gemma 3's lower layers see a window only."""
    kinds = set(getattr(config, "layer_types", None) or ())
    if "sliding_attention" not in kinds:
        return mask(None)
    return {kind: mask(config.sliding_window if kind == "sliding_attention" else None) for kind in kinds}


def load_frozen(kind: Any, source: str | Path, where: torch.device, **options: Any) -> PreTrainedModel:
    """Load an LLM's weights, all of them: what a damaged copy lacks would otherwise be filled with noise.

    Args:
        kind: ``AutoModel`` or another class of that family.
        source: A folder, or the name of a model on the Hugging Face hub.
        where: Where it goes.
        options: Further ones of ``from_pretrained``.

    Raises:
        AdapterError: There is no such model, or its weights are damaged or not all there.
    """
    try:
        with _quiet():  # weights of layers that are left out are no news
            model, report = kind.from_pretrained(
                source, use_safetensors=True, trust_remote_code=False, output_loading_info=True, **options
            )
    except (OSError, RuntimeError, SafetensorError, ValueError) as error:
        raise AdapterError(f"no backbone at {source}: {str(error).splitlines()[0]}") from error
    if missing := sorted(report["missing_keys"]):
        raise AdapterError(f"{source} lacks {len(missing)} weights of a {type(model).__name__}, for one {missing[0]}")
    loaded: PreTrainedModel = model.to(where)
    return loaded


class Backbone:
    """The lower layers of a causal LLM, frozen.

    Args:
        model: A decoder of Hugging Face's, without its vocabulary head.
        name: What it is called in checkpoints and events.
        read: Layers whose output is read; 1 is the first layer's output.

    Attributes:
        name: As given.
        read: As given.
        width: Width of a hidden state.
        device: Where it runs.
        lora: Digest of the low-rank adapters that are put on; empty without.

    Raises:
        AdapterError: It is built in an unknown way.
    """

    def __init__(self, model: PreTrainedModel, name: str, read: Sequence[int]) -> None:
        self.name = name
        self.read = tuple(read)
        self.device = model.device
        self.lora = ""
        self.width: int = model.config.hidden_size
        self._model = model.requires_grad_(False).train(False)
        for part in _FINAL_NORMS:  # a layer is read as it is; the norm belongs to the end of the whole network
            if hasattr(self._model, part):
                setattr(self._model, part, nn.Identity())
                break
        else:
            raise AdapterError(f"{name} is a {type(model).__name__}, whose final norm could not be found")

    @classmethod
    def load(cls, source: str | Path, read: Sequence[int], *, device: str = "auto", dtype: str = "auto") -> Backbone:
        """Load a model's lower layers.

        Args:
            source: A folder, or the name of a model on the Hugging Face hub.
            read: Layers whose output is read.
            device: ``auto``, ``cpu``, ``cuda`` ...
            dtype: ``auto``, ``float32`` or ``bfloat16``.

        Raises:
            AdapterError: There is no such model or device, or it has fewer layers, or is damaged.
        """
        where = choose_device(device)
        try:
            config = _lower_part(AutoConfig.from_pretrained(source, trust_remote_code=False), max(read))
        except (OSError, ValueError) as error:
            raise AdapterError(f"no backbone at {source}: {str(error).splitlines()[0]}") from error
        model = load_frozen(AutoModel, source, where, config=config, dtype=choose_dtype(dtype, where))
        return cls(model, Path(source).name, read)

    @property
    def weights_digest(self) -> str:
        """Digest of the weights exactly as loaded: equal before and after training, or they were not frozen."""
        return digest(self._model)

    @property
    def fingerprint(self) -> str:
        """Short digest that names the model, the same in every number format."""
        return digest(self._model, rounded=True)[:16]

    @torch.no_grad()
    def embed(self, ids: Int64[Tensor, " time"]) -> Float[Tensor, "time d"]:
        """The LLM's own embeddings of tokens, in float32 on the CPU."""
        embedded: Tensor = self._model.get_input_embeddings()(ids.to(self.device))
        return embedded.float().cpu()

    @torch.no_grad()
    def prefix(
        self, ids: Int64[Tensor, " time"], after: Prefix | None = None
    ) -> tuple[Prefix, Float[Tensor, "read time d"]]:
        """Read a text once: what suffixes can be run against, and the states of the layers that are read.

        Args:
            ids: The text.
            after: What was read before it, or None where it is the beginning; left as it is.

        Returns:
            Everything that was read by now, and the states of this text alone.
        """
        cache = after.cache() if after else DynamicCache()
        states = self._run(input_ids=ids[None].to(self.device), cache=cache, use_cache=True)
        return Prefix.of(cache), torch.stack([state[0] for state in states]).float().cpu()

    def suffixes(
        self, prefix: Prefix, embeds: Float[Tensor, "b s d"], ends: Int64[Tensor, " b"]
    ) -> Float[Tensor, "read b s d"]:
        """Hidden states of suffixes, in float32 on the CPU; gradients flow into their embeddings.

        Args:
            prefix: The dialogue that all of them continue.
            embeds: The suffixes.
            ends: How many of the prefix's tokens each one continues; the others it does not see.
        """
        count, positions, width = embeds.shape
        states = self._run(**self._behind(prefix, embeds, ends))
        return torch.stack([state.float().cpu().reshape(count, positions, width) for state in states])

    @torch.no_grad()
    def attention(
        self, prefix: Prefix, embeds: Float[Tensor, "b s d"], ends: Int64[Tensor, " b"]
    ) -> Float[Tensor, "layers b keys"]:
        """What the last position of each suffix attends to in each layer, mean over the heads; as `suffixes` else.

        Returns:
            Shares of the prefix's tokens, then of the positions of all suffixes, one suffix behind the other.
        """
        count, positions, _ = embeds.shape
        usual = self._model.config._attn_implementation
        self._model.set_attn_implementation("eager")  # the others do not tell
        try:
            found = self._model(output_attentions=True, **self._behind(prefix, embeds, ends)).attentions
        finally:
            self._model.set_attn_implementation(usual)
        last = torch.arange(count) * positions + positions - 1
        return torch.stack([layer[0].float().mean(0)[last].cpu() for layer in found])

    def _behind(self, prefix: Prefix, embeds: Float[Tensor, "b s d"], ends: Int64[Tensor, " b"]) -> dict[str, Any]:
        """What the model is given to run suffixes."""
        count, positions, width = embeds.shape
        dtype = self._model.dtype

        def mask(window: int | None) -> Float[Tensor, "1 1 bs keys"]:
            return _added(suffix_mask(prefix.length, ends, positions, window), self._model)

        return {
            "inputs_embeds": embeds.reshape(1, count * positions, width).to(self.device, dtype),
            "attention_mask": _by_kind(self._model.config, mask),
            "position_ids": suffix_positions(ends, positions)[None].to(self.device),
            "cache": prefix.cache(),
            "use_cache": True,
        }

    def _run(self, **inputs: Any) -> list[Tensor]:
        outputs = self._model(output_hidden_states=True, **inputs)
        return [outputs.hidden_states[layer] for layer in self.read]

    def span(self, behind: int, upto: int | None = None) -> LayerSpan:
        """The layers behind one, 0 all of them, as far as another; without it those that are read."""
        return LayerSpan(self._model, behind, self.read if upto is None else [upto])

    def lora_shape(self, first: int, rank: int) -> LoraShape:
        """The shape of low-rank adapters for a layer and all above it."""
        return lora_shape(self._model, tuple(range(first, max(self.read) + 1)), rank)

    def put_on(self, lora: Lora) -> None:
        """Read with low-rank adapters from now on, put on once they are trained; the LLM's weights stay as they are."""
        lora.put_on(self._model)
        self.lora = digest(lora)[:16]

    def adapted(self, lora: Lora) -> AbstractContextManager[None]:
        """Read with low-rank adapters for a while."""
        return lora.on(self._model)

    @torch.no_grad()
    def states(self, ids: Int64[Tensor, " time"]) -> Float[Tensor, "read time d"]:
        """Hidden states of the layers that are read, in float32 on the CPU.

        Args:
            ids: The tokens of one text.
        """
        return torch.cat(self._run(input_ids=ids[None].to(self.device))).float().cpu()


class LayerSpan:
    """Some layers on the same weights: the output of the one before in, the layers' that are read out, with gradients.

    Args:
        model: The LLM.
        behind: How many layers are left out; with 0 tokens' embeddings go in.
        read: Layers whose output is read, counted from the LLM's first one; those above are left out as well.

    Raises:
        AdapterError: The LLM is built in an unknown way.
    """

    def __init__(self, model: PreTrainedModel, behind: int, read: Sequence[int]) -> None:
        layers = getattr(model, "layers", None)
        if not isinstance(layers, nn.ModuleList):
            raise AdapterError(f"a {type(model).__name__} has no list of layers to begin in")
        self._model = copy.copy(model)
        self._model._modules = {**model._modules}
        self._model.layers = layers[behind : max(read)]
        self._model.config = copy.deepcopy(model.config)
        self._model.config.num_hidden_layers = max(read) - behind
        if getattr(model.config, "layer_types", None) is not None:
            self._model.config.layer_types = model.config.layer_types[behind : max(read)]
        self._read = {one: None if one == behind else layers[one - 1] for one in read}

    def __call__(
        self, states: Float[Tensor, "time d"], positions: Int64[Tensor, " time"], visible: Bool[Tensor, "time time"]
    ) -> Float[Tensor, "read time d"]:
        """Run them.

        Args:
            states: Output of the layer before.
            positions: The place of each token in its dialogue.
            visible: Which tokens each one sees.
        """

        def mask(window: int | None) -> Float[Tensor, "1 1 time time"]:
            near = positions[:, None] - positions[None] < window if window else True
            return _added(visible & near, self._model)

        given = states[None].to(self._model.device, self._model.dtype)
        found = dict.fromkeys(self._read, given)
        with ExitStack() as taken_off:
            # Not by output_hidden_states: the model's own hooks would be put on layers that others share once more.
            for number, layer in self._read.items():
                if layer is not None:
                    taken_off.enter_context(_kept(layer, found, number))
            self._model(
                inputs_embeds=given,
                attention_mask=_by_kind(self._model.config, mask),
                position_ids=positions[None].to(self._model.device),
                use_cache=False,
            )
        return torch.stack([state[0] for state in found.values()]).float().cpu()


@contextmanager
def _kept(layer: nn.Module, found: dict[int, Tensor], number: int) -> Iterator[None]:
    """Keep a layer's output under its number."""

    def keep(_: nn.Module, _inputs: object, output: Any) -> None:
        found[number] = output[0] if isinstance(output, tuple) else output

    handle = layer.register_forward_hook(keep)
    try:
        yield
    finally:
        handle.remove()
