"""A trained adapter for dimensions of affect on disk: ``adapter.safetensors`` and ``card.json``, as an emotion adapter.

The card names the dimensions and what their ends mean, and how far the truth may be from a number that it gives: a
distance that nine of ten held-out turns stay within (split conformal prediction, Lei et al. 2018, section 2.2).
"""

from __future__ import annotations

import json
from dataclasses import asdict, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from adapters.checkpoint.store import (
    FILES,
    BackboneSpec,
    assert_same,
    format_of,
    read_weights,
    save_weights,
    verify_weights,
)
from adapters.errors import AdapterError
from adapters.llm.prompt import PromptSpec
from adapters.readout.dimensions import DimensionHead, DimensionShape

FORMAT: Literal["dimensions/1"] = "dimensions/1"
COVERAGE = 0.9
"""Share of turns whose true rating lies within the card's distance."""

_WEIGHTS, _CARD = FILES
_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)
_Size = Annotated[int, Field(ge=1, le=100_000)]


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Dimension:
    """One dimension, from -1 to 1.

    Attributes:
        name: For example ``valence``.
        low: What -1 means.
        high: What 1 means.
        within: How far from the number the truth is, at most, in `COVERAGE` of turns like those of the held-out data.
    """

    name: Annotated[str, Field(pattern="^[a-z][a-z-]{0,31}$")]
    low: Annotated[str, Field(max_length=100)]
    high: Annotated[str, Field(max_length=100)]
    within: Annotated[float, Field(ge=0.0, le=2.0)]


@dataclass(frozen=True, slots=True, config=_CONFIG)
class DimensionCard:
    """What is known about an adapter for dimensions.

    Attributes:
        name: Short name.
        dimensions: What it tells.
        backbone: The LLM that it reads.
        prompt: How dialogues are written down for it.
        layers: Layers of the LLM that it reads.
        width: The LLM's.
        members: Networks.
        hidden: Hidden width of each.
        weights_sha256: Of the weights' file; filled in when saved.
        about: Data, licences, seed, metrics, limits, intended use.
        format: Of this file.
    """

    name: Annotated[str, Field(max_length=100)]
    dimensions: Annotated[tuple[Dimension, ...], Field(min_length=1, max_length=16)]
    backbone: BackboneSpec
    prompt: PromptSpec
    layers: Annotated[tuple[Annotated[int, Field(ge=0, le=1000)], ...], Field(min_length=1, max_length=100)]
    width: _Size
    members: _Size
    hidden: _Size
    weights_sha256: str = ""
    about: dict[str, Any] = field(default_factory=dict)
    format: Literal["dimensions/1"] = FORMAT

    @property
    def adapter_id(self) -> str:
        """Name and the start of the weights' hash."""
        return f"{self.name}-{self.weights_sha256[:8]}"

    @property
    def shape(self) -> DimensionShape:
        """The sizes of its networks."""
        return DimensionShape(self.layers, self.width, len(self.dimensions), self.members, self.hidden)


def save(folder: Path, head: DimensionHead, card: DimensionCard) -> DimensionCard:
    """Write an adapter, its weights in float16; the card comes last, so that half a checkpoint is none.

    Returns:
        The card as written, with the hash.

    Raises:
        AdapterError: A weight is not finite in float16; what is in the folder stays as it is.
    """
    raw = {**asdict(card), "weights_sha256": save_weights(folder, head)}
    (folder / _CARD).write_text(json.dumps(raw, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return read_card(folder)


def read_card(folder: Path) -> DimensionCard:
    """Read what is known about an adapter for dimensions.

    Raises:
        AdapterError: There is none, or it is one of another kind.
    """
    path = folder / _CARD
    if not path.is_file():
        raise AdapterError(f"no adapter at {folder}: {_CARD} is missing")
    try:
        return TypeAdapter(DimensionCard).validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise AdapterError(f"{path} is not a card of an adapter for dimensions: {where}: {first['msg']}") from error


def is_one(folder: Path) -> bool:
    """Whether a folder holds an adapter for dimensions, whole or not."""
    return format_of(folder).startswith("dimensions/")


def verify(folder: Path) -> DimensionCard:
    """Check that an adapter for dimensions is whole, without loading it.

    Raises:
        AdapterError: The card or the weights are missing, or the weights are not those of the card.
    """
    card = read_card(folder)
    verify_weights(folder, card.weights_sha256)
    return card


def load(folder: Path) -> tuple[DimensionHead, DimensionCard]:
    """Read an adapter, checked from end to end.

    Raises:
        AdapterError: Something is missing or damaged.
    """
    card, path = verify(folder), folder / _WEIGHTS
    weights = read_weights(path)
    head = DimensionHead(card.shape)
    assert_same(path, head.state_dict(), weights)
    head.load_state_dict({name: value.float() for name, value in weights.items()})
    return head.train(False).requires_grad_(False), card
