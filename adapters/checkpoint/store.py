"""A trained adapter on disk: ``adapter.safetensors`` and ``card.json``, nothing else.

The card says what the adapter was made for (labels, features, backbone, prompt, sizes), where it comes from and how
well it did. The weights' hash is in the card; names and shapes are asserted on load.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from adapters.checkpoint import conformal
from adapters.checkpoint.conformal import EmotionSets
from adapters.contract import FeatureSpec, LabelSet, Polarity
from adapters.errors import AdapterError
from adapters.llm.lora import LoraShape
from adapters.llm.prompt import PromptSpec
from adapters.readout.head import EmotionHead, HeadShape
from adapters.readout.pseudo import PseudoShape

FORMAT = 6
_READABLE = (5, FORMAT)  # before 6 there were no low-rank adapters
_NUMBERS = (torch.float16, torch.bfloat16, torch.float32)
FILES = _WEIGHTS, _CARD = "adapter.safetensors", "card.json"


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """The LLM that an adapter reads.

    Attributes:
        name: Asset, folder or Hugging Face id.
        fingerprint: `Backbone.fingerprint`.
        lora: `Backbone.lora` of the low-rank adapters that it has on; empty where it is read as it is.
    """

    name: str
    fingerprint: str
    lora: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """What is known about an adapter.

    Attributes:
        name: Short name.
        labels: Its classes.
        audio: The voice features that it reads, or None where it does not read voices.
        backbone: The LLM that it reads.
        prompt: How dialogues are written down for it.
        shape: Its sizes.
        weights_sha256: Of the weights' file; filled in when saved.
        about: Data, licences, splits, seeds, metrics, limits, intended use.
        sets: Conformal sets, where they were fitted.
        video: The face features that it reads, or None likewise.
        format: Version of the checkpoint's format.
    """

    name: str
    labels: LabelSet
    audio: FeatureSpec | None
    backbone: BackboneSpec
    prompt: PromptSpec
    shape: HeadShape
    weights_sha256: str = ""
    about: dict[str, Any] = field(default_factory=dict)
    sets: EmotionSets | None = None
    video: FeatureSpec | None = None
    format: int = FORMAT

    @property
    def adapter_id(self) -> str:
        """Name and the start of the weights' hash."""
        return f"{self.name}-{self.weights_sha256[:8]}"


def save(folder: Path, head: EmotionHead, card: Card) -> Card:
    """Write an adapter, its weights in float16; the card comes last, so that half a checkpoint is none.

    Returns:
        The card as written, with the hash.

    Raises:
        AdapterError: A weight is not finite in float16; what is in the folder stays as it is.
    """
    fields = {name: getattr(card, name) for name in Card.__dataclass_fields__}
    written = Card(**{**fields, "weights_sha256": save_weights(folder, head), "format": FORMAT})
    text = json.dumps(asdict(written), indent=2, ensure_ascii=False)
    (folder / _CARD).write_text(text + "\n", encoding="utf-8")
    return written


def save_weights(folder: Path, module: nn.Module) -> str:
    """Write weights in float16.

    Returns:
        The file's SHA-256.

    Raises:
        AdapterError: A weight is not finite in float16; what is in the folder stays as it is.
    """
    weights = {name: value.detach().cpu().half().contiguous() for name, value in module.state_dict().items()}
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise AdapterError(
                f"nothing is saved to {folder}: weight {name} is not finite in float16, so training diverged; "
                "train again with a lower learning rate"
            )
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / _WEIGHTS)
    (folder / _WEIGHTS).chmod(0o644)  # safetensors writes files that only their owner can read
    return sha256_of(folder / _WEIGHTS)


def format_of(folder: Path) -> str:
    """What the card in a folder says of its format; nothing where there is none that can be read."""
    try:
        return str(json.loads((folder / _CARD).read_text(encoding="utf-8"))["format"])
    except (KeyError, OSError, RecursionError, TypeError, ValueError):
        return ""


def read_card(folder: Path) -> Card:
    """Read what is known about an adapter.

    Raises:
        AdapterError: There is no card, it is of another format, or what it holds fits no adapter.
    """
    path = folder / _CARD
    if not path.is_file():
        raise AdapterError(
            f"no adapter at {folder}: {_CARD} is missing; "
            "name default, a folder from python -m adapters train, or hf:owner/name"
        )
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if str(raw["format"]).startswith("dimensions/"):
            raise AdapterError(
                f"the adapter at {folder} tells dimensions, no emotions: name it in recognise.dimensions"
            )
        if str(raw["format"]).startswith("published/"):
            raise AdapterError(
                f"the adapter at {folder} has the paper's layout: name it in recognise.adapter, or evaluate it with "
                "python -m adapters published evaluate"
            )
        if raw["format"] not in _READABLE:
            raise AdapterError(f"{path} has format {raw['format']!r}, this version reads {FORMAT}: train it again")
        audio, video = (None if raw.get(kind) is None else FeatureSpec(**raw[kind]) for kind in ("audio", "video"))
        card = Card(
            name=raw["name"],
            labels=_labels(raw["labels"]),
            audio=audio,
            backbone=BackboneSpec(**raw["backbone"]),
            prompt=PromptSpec(**raw["prompt"]),
            shape=_shape(raw["shape"]),
            weights_sha256=raw["weights_sha256"],
            about=raw["about"],
            sets=conformal.read(
                raw.get("sets"), len(raw["labels"]["labels"]), voices=audio is not None, faces=video is not None
            ),
            video=video,
            format=raw["format"],
        )
        _assert_kinds(card)
        _assert_sizes(card)
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise AdapterError(f"{path} is not a card of an adapter: {error!r}") from error
    return card


def _shape(raw: dict[str, Any]) -> HeadShape:
    pseudo, lora = raw.get("pseudo"), raw.get("lora")
    given = {
        "layers": _listed(raw["layers"]),
        "pseudo": None if pseudo is None else PseudoShape(**pseudo),
        "lora": None if lora is None else _lora(lora),
    }
    return HeadShape(**{**raw, **given})


def _lora(raw: dict[str, Any]) -> LoraShape:
    maps = tuple(tuple(one) for one in raw["maps"])
    return LoraShape(**{**raw, "layers": _listed(raw["layers"]), "maps": maps})


def _labels(raw: dict[str, Any]) -> LabelSet:
    names = raw["labels"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"labels must be a list of texts, not {names!r}")
    return LabelSet(raw["name"], tuple(names), tuple(Polarity(**one) for one in raw["polarity"]))


def _listed(raw: Any) -> Any:
    """A list of JSON's as a tuple; anything else, such as a text, as it is, for `_assert_kinds` to refuse."""
    return tuple(raw) if isinstance(raw, list) else raw


def _assert_kinds(record: Any) -> None:
    """Compare what a record holds, down to its last part, with the types of its fields: JSON may hold anything.

    Raises:
        ValueError: A field is of another type.
    """
    for name, kind in get_type_hints(type(record)).items():
        value = getattr(record, name)
        try:
            TypeAdapter(kind).validate_python(value, strict=True)
        except ValidationError as error:
            raise ValueError(f"{type(record).__name__}.{name}: {error.errors()[0]['msg']}") from error
        if is_dataclass(value):
            _assert_kinds(value)


def _assert_sizes(card: Card) -> None:
    """Compare a card's numbers with what they count.

    Raises:
        ValueError: A size is no size, there are not as many labels as classes, or features lack their networks.
    """
    shape, pseudo = card.shape, card.shape.pseudo
    sizes = [shape.width, shape.classes, shape.members, shape.words_hidden]
    sizes += [card.prompt.max_tokens, card.prompt.max_words]
    sizes += [hidden for hidden in (shape.voice_hidden, shape.face_hidden) if hidden is not None]
    sizes += [] if pseudo is None else [pseudo.tokens, pseudo.question]
    if lora := shape.lora:
        sizes += [lora.rank, len(lora.layers), len(lora.maps), *lora.layers]
        sizes += [width for _, *widths in lora.maps for width in widths]
    if min(sizes) < 1 or min(shape.layers, default=-1) < 0:
        raise ValueError(f"sizes of 1 and more and layers of 0 and more are wanted, not {shape} and {card.prompt}")
    if (card.audio is None) != (shape.voice_hidden is None):
        raise ValueError(f"voices of {card.audio} do not go with a hidden width of {shape.voice_hidden}")
    if len(card.labels) != shape.classes:
        raise ValueError(f"{shape.classes} classes need as many labels, not {card.labels.labels}")


def verify(folder: Path) -> Card:
    """Check that an adapter is whole, without loading it.

    Raises:
        AdapterError: The card or the weights are missing, or the weights are not those of the card.
    """
    card = read_card(folder)
    verify_weights(folder, card.weights_sha256)
    return card


def verify_weights(folder: Path, sha256: str) -> None:
    """Compare the hash of an adapter's weights with its card's.

    Raises:
        AdapterError: There are none, or others.
    """
    path = folder / _WEIGHTS
    if not path.is_file():
        raise AdapterError(f"no adapter at {folder}: {_WEIGHTS} is missing")
    found = sha256_of(path)
    if found != sha256:
        raise AdapterError(f"{path} is damaged: its SHA-256 is {found}, its card says {sha256}")


def load(folder: Path, audio: FeatureSpec, video: FeatureSpec) -> tuple[EmotionHead, Card]:
    """Read an adapter, checked from end to end.

    Args:
        folder: Where it is.
        audio: The voice features that it will be given, should it read voices.
        video: Likewise the face features.

    Raises:
        AdapterError: Something is missing, damaged, or made for other features.
    """
    card = verify(folder)
    path = folder / _WEIGHTS
    for made_for, extracted in ((card.audio, audio), (card.video, video)):
        if made_for not in (None, extracted):
            raise AdapterError(f"{folder} reads {made_for}, this version extracts {extracted}: train it again")
    expected = _expected(folder / _CARD, card.shape)
    weights = read_weights(path)
    assert_same(path, expected, weights)
    head = EmotionHead(card.shape)
    head.load_state_dict({name: value.float() for name, value in weights.items()})
    return head.train(False).requires_grad_(False), card


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        AdapterError: There is none, or it is something else.
    """
    if not path.is_file():
        raise AdapterError(f"no weights at {path}")
    try:
        return load_file(path)
    except (SafetensorError, TypeError) as error:  # the latter where a shape is beyond 64 bits
        raise AdapterError(f"{path} is no safetensors file: {str(error).splitlines()[0]}") from error


def _expected(path: Path, shape: HeadShape) -> dict[str, Tensor]:
    """Names and shapes of the weights that a card at ``path`` wants."""
    try:
        with torch.device("meta"):  # takes no memory, whatever sizes a card claims
            return EmotionHead(shape).state_dict()
    except (OverflowError, RuntimeError, TypeError) as error:
        raise AdapterError(f"{path}: no adapter has the sizes {shape}") from error


def assert_same(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Compare names and shapes of weights, and look whether they are numbers.

    Raises:
        AdapterError: A weight is missing, unknown, of another shape, in an unknown number format, or not finite.
    """
    for name in sorted(expected.keys() | found.keys()):
        here = tuple(found[name].shape) if name in found else "missing"
        there = tuple(expected[name].shape) if name in expected else "unknown"
        if here != there:
            raise AdapterError(f"{path}: weight {name} is {here}, its card wants {there}")
        if found[name].dtype not in _NUMBERS:
            raise AdapterError(f"{path}: weight {name} is in {found[name].dtype}, not one of {_NUMBERS}")
        if not torch.isfinite(found[name]).all():
            raise AdapterError(f"{path}: weight {name} holds numbers that are not finite")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
