"""A trained adapter of the published method on disk: ``adapter.safetensors`` and ``card.json``, nothing else.

The card says the data set, where its turns came from, the LLM, the sizes and the metrics; names and shapes of the
weights, and their hash, are compared on load. With calibration and live features it can be loaded live.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import save_file
from torch import Tensor

from adapters.checkpoint.conformal import EmotionSets
from adapters.checkpoint.store import FILES, BackboneSpec, assert_same, format_of, read_weights, sha256_of
from adapters.contract import FeatureSpec
from adapters.errors import AdapterError
from adapters.mse.adapter import MseAdapter, MseShape, from_official, shape_of
from adapters.published.inputs import PROCESSED
from adapters.published.model import FrozenLlm

FORMAT = "published/2"
WEIGHTS, CARD = FILES


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fitted on the validation split.

    Attributes:
        temperature: What the answers' log probabilities are divided by, above 0.
        sets: Conformal sets, by the modalities of a turn.
    """

    temperature: float
    sets: EmotionSets


@dataclass(frozen=True, slots=True)
class MseCard:
    """What is known about a trained adapter.

    Attributes:
        dataset: A key of `adapters.published.sets.SETS`.
        source: Where its turns came from, `Turns.source`.
        backbone: The LLM beside which it was trained.
        shape: Its sizes.
        audio: The live voice features that it reads, or None where it reads none.
        video: Likewise of faces.
        calibration: Of emotions; None where there is none.
        about: Settings, seed and metrics.
        weights_sha256: Of the weights' file; filled in when saved.
        format: Of the card.
    """

    dataset: str
    source: str
    backbone: BackboneSpec
    shape: MseShape
    audio: FeatureSpec | None = None
    video: FeatureSpec | None = None
    calibration: Calibration | None = None
    about: dict[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""
    format: str = FORMAT

    @property
    def adapter_id(self) -> str:
        """What events call it: method, data set and the start of the weights' hash."""
        return f"mse-{self.dataset}-{self.weights_sha256[:8]}"


def save(folder: Path, adapter: MseAdapter, saved: MseCard) -> None:
    """Write an adapter, its weights in float32; the card comes last, so that half of one is none."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).unlink(missing_ok=True)
    save_file({name: value.cpu().contiguous() for name, value in adapter.state_dict().items()}, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)  # safetensors writes files that only their owner can read
    card = asdict(replace(saved, weights_sha256=sha256_of(folder / WEIGHTS)))
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def is_one(folder: Path) -> bool:
    """Whether a folder holds an adapter of the published method, whole or not."""
    return format_of(folder).startswith("published/")


def load(folder: Path) -> tuple[MseAdapter, MseCard]:
    """Read an adapter that `save` wrote.

    Raises:
        AdapterError: There is none, or it is damaged.
    """
    saved = verify(folder)
    path = folder / WEIGHTS
    return _adapter(path, saved.shape, read_weights(path)), saved


def verify(folder: Path) -> MseCard:
    """Check that an adapter is whole, without loading it.

    Raises:
        AdapterError: There is none, or it is damaged.
    """
    saved = _read(folder / CARD)
    path = folder / WEIGHTS
    if not path.is_file():
        raise AdapterError(f"no weights at {path}")
    if (found := sha256_of(path)) != saved.weights_sha256:
        read_weights(path)  # what is no such file at all is told as that
        raise AdapterError(f"{path} is damaged: its SHA-256 is {found}, {CARD} says {saved.weights_sha256}")
    return saved


def finished(folder: Path, wanted: MseCard) -> dict[str, Any] | None:
    """The metrics of a finished run; None where this run has still to be done there.

    Args:
        folder: Where it would be.
        wanted: Its card as it would be; all of its ``about`` is compared.
    """
    try:
        found = _read(folder / CARD)
        if sha256_of(folder / WEIGHTS) != found.weights_sha256:
            return None
    except (AdapterError, FileNotFoundError):
        return None
    about = json.loads(json.dumps(wanted.about))
    alike = replace(found, about={}, weights_sha256="", calibration=None) == replace(wanted, about={})
    return found.about if alike and {name: found.about.get(name) for name in about} == about else None


def load_official(path: Path, dataset: str, backbone: str) -> tuple[MseAdapter, MseCard]:
    """Read weights in the authors' own layout; their sizes are the weights' own.

    Args:
        path: A safetensors file. The authors' is a pickle, which is not read here: convert it once where it may be.
        dataset: What they were trained on.
        backbone: Beside which LLM.

    Raises:
        AdapterError: It is something else.
    """
    weights = from_official(read_weights(path))
    made = MseCard(dataset, PROCESSED, BackboneSpec(backbone, fingerprint=""), shape_of(weights))
    return _adapter(path, made.shape, weights), made


def assert_beside(path: Path, made: MseCard, llm: FrozenLlm) -> None:
    """Compare what an adapter was made for with the LLM at hand.

    Raises:
        AdapterError: They differ.
    """
    if made.shape.d != llm.width:
        raise AdapterError(f"{path} was made for an LLM {made.shape.d} wide, {llm.name} is {llm.width} wide")
    if made.backbone.fingerprint not in ("", (here := llm.spec).fingerprint):
        there = made.backbone
        raise AdapterError(
            f"{path} was trained beside {there.name} ({there.fingerprint}), not {here.name} ({here.fingerprint})"
        )


def _read(path: Path) -> MseCard:
    if not path.is_file():
        raise AdapterError(f"no adapter of the published method at {path.parent}: {CARD} is missing")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] != FORMAT:
            raise AdapterError(f"{path} has format {raw['format']!r}, this version reads {FORMAT}: train it again")
        saved = TypeAdapter(MseCard).validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise AdapterError(f"{path} does not describe an adapter: {where}: {first['msg']}") from error
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise AdapterError(f"{path} does not describe an adapter: {error!r}") from error
    if saved.calibration is not None and not 0.0 < saved.calibration.temperature < math.inf:
        raise AdapterError(f"{path} does not describe an adapter: a temperature of {saved.calibration.temperature}")
    return saved


def _adapter(path: Path, shape: MseShape, weights: dict[str, Tensor]) -> MseAdapter:
    try:
        with torch.device("meta"):  # takes no memory, whatever sizes a file claims
            expected = MseAdapter(shape).state_dict()
    except (RuntimeError, TypeError, ValueError) as error:
        raise AdapterError(f"{path}: no adapter has the sizes {shape}") from error
    assert_same(path, expected, weights)
    adapter = MseAdapter(shape)
    adapter.load_state_dict({name: value.float() for name, value in weights.items()})
    return adapter
