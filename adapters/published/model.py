"""The frozen LLM at hand, and adapters beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from adapters.checkpoint.store import BackboneSpec
from adapters.errors import AdapterError
from adapters.llm.backbone import choose_device, choose_dtype, digest, load_frozen
from adapters.llm.presets import backbone_source
from adapters.mse.adapter import PRESETS, MseAdapter, MseShape
from adapters.mse.llm import MseLlm
from adapters.mse.tasks import Task


@dataclass(frozen=True, slots=True, eq=False)
class FrozenLlm:
    """A causal LLM with its vocabulary head, and its tokenizer; ``name`` is the name that it was loaded by."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def width(self) -> int:
        """Of its embeddings."""
        return int(self.model.config.get_text_config().hidden_size)

    @property
    def spec(self) -> BackboneSpec:
        """Its name, and a digest that is the same in every number format."""
        return BackboneSpec(self.name, digest(self.model, rounded=True)[:16])

    def beside(self, adapter: MseAdapter, task: Task) -> MseLlm:
        """The whole method."""
        return MseLlm(self.model, self.tokenizer, adapter, task)


def load_llm(backbone: str, dtype: str = "auto", device: str = "auto") -> FrozenLlm:
    """Load an LLM.

    Args:
        backbone: A pulled asset, a short name, a folder or a name on the hub.
        dtype: ``auto``, ``float32`` or ``bfloat16``; the adapter is in float32 whatever this says.
        device: ``auto``, ``cpu``, ``cuda`` ...

    Raises:
        AdapterError: There is no such LLM, number format or device, or the LLM is damaged.
    """
    source = backbone_source(backbone)
    where = choose_device(device)
    model = load_frozen(AutoModelForCausalLM, source, where, dtype=choose_dtype(dtype, where))
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise AdapterError(f"no tokenizer at {source}: {str(error).splitlines()[0]}") from error
    return FrozenLlm(backbone, model.requires_grad_(False).train(False), tokenizer)


def shape_for(preset: str, llm: FrozenLlm, widths: tuple[int, int]) -> MseShape:
    """The paper's sizes, as wide as the LLM and the frames at hand.

    Args:
        preset: A key of `adapters.mse.adapter.PRESETS`.
        llm: Its width is the pseudo tokens'.
        widths: Of voice and face frames.
    """
    paper = PRESETS[preset]
    audio, video = (replace(shape, dim=dim) for shape, dim in zip((paper.audio, paper.video), widths, strict=True))
    return replace(paper, d=llm.width, audio=audio, video=video)


def fresh(shape: MseShape, seed: int) -> MseAdapter:
    """An untrained adapter; a seed gives the same one on every device."""
    torch.manual_seed(seed)
    return MseAdapter(shape)
