"""The LLM that an adapter was trained on, loaded and compared with its card."""

from __future__ import annotations

from pathlib import Path

from adapters.checkpoint.store import Card
from adapters.errors import AdapterError
from adapters.llm.backbone import Backbone
from adapters.llm.prompt import Prompter
from adapters.readout.head import EmotionHead


def llm_of(
    head: EmotionHead,
    card: Card,
    source: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    any_backbone: bool = False,
) -> tuple[Backbone, Prompter]:
    """Load the LLM that an adapter was trained on, with its low-rank adapters on, and the prompter for it.

    Args:
        head: The adapter.
        card: The adapter's.
        source: Folder or Hugging Face id of the LLM.
        device: As `load`.
        dtype: As `load`.
        any_backbone: As `load`.

    Raises:
        AdapterError: The LLM is missing or damaged, or another one than the card's.
    """
    llm = Backbone.load(source, card.shape.layers, device=device, dtype=dtype)
    found, wanted = llm.fingerprint, card.backbone.fingerprint
    if llm.width != card.shape.width or (found != wanted and not any_backbone):
        raise AdapterError(
            f"{card.name} was trained on {card.backbone.name} ({wanted}, width {card.shape.width}), "
            f"but {source} is another model ({found}, width {llm.width})"
        )
    if head.lora is not None:
        llm.put_on(head.lora)
        if llm.lora != card.backbone.lora:
            raise AdapterError(f"{card.name} has low-rank adapters {llm.lora}, its card says {card.backbone.lora!r}")
    return llm, Prompter.load(source, card.prompt)
