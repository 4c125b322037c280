"""What a training run does, from a TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from adapters.errors import AdapterError

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True)
class FitSpec:
    """How one reader's members are fitted.

    Attributes:
        epochs: Passes over the data.
        batch: Rows per step.
        learning_rate: Highest rate of the one-cycle schedule.
        weight_decay: AdamW's.
        label_smoothing: Share of the target spread over all classes.
        dropout: On inputs and hidden layer.
        adjust: How much of the log prior is added to the scores in training; what is added then is missing
            afterwards, and rare classes are named more often (Menon et al. 2021, logit adjustment).
        patience: Epochs without a better score on dev after which fitting stops, and goes back to the best one; 0 runs
            all epochs and keeps the last. Only the words' members have a dev split to be scored on.
    """

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    dropout: tuple[float, float]
    adjust: float
    patience: int = 0


@dataclass(frozen=True, slots=True)
class PseudoSpec:
    """How pseudo tokens are trained through the frozen LLM.

    Attributes:
        tokens: Pseudo tokens that carry voice and face.
        question: What the question behind them is in words, to begin with.
        epochs: Passes over the dialogues.
        batch: Parts of dialogues per step.
        learning_rate: Highest rate of the one-cycle schedule.
        weight_decay: AdamW's.
        label_smoothing: Share of the target spread over all classes.
        dropout: On the voice's summary and on the answer.
        adjust: As `FitSpec` has it.
        voices: Share of the turns that are given a (simulated) voice.
    """

    tokens: int
    question: str
    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    dropout: float
    adjust: float
    voices: float


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run.

    Attributes:
        name: The adapter's.
        backbone: Asset, folder or Hugging Face id of the LLM.
        dtype: Number format in which it runs.
        layers: Layers of it that are read.
        intro: What stands before a dialogue.
        max_tokens: Length of a dialogue in tokens.
        members: Networks that are averaged.
        words_hidden: Width of a member that reads words.
        voice_hidden: Width of a member that hears voices.
        words: How the words' members are fitted.
        voice: How the voice's members are fitted.
        pseudo: How pseudo tokens are trained; without it the LLM reads the dialogue only.
        face_hidden: Width of a member that sees faces.
        face_turns: Turns of each label that are put together from pictures (see `adapters.faces`).
        face: How the face's members are fitted; without it faces are not read.
        heard: How much a turn's words as a recogniser heard them (``heard/meld`` in the data folder, see
            ``tests/noisy_copy.py``) count beside the written ones; 0 leaves them out.
        taught: How much of what the words' members learn is what others say who did not see the dialogue (see
            `adapters.teach`); 0 takes the labels alone.
    """

    name: str
    backbone: str
    dtype: str
    layers: tuple[int, ...]
    intro: str
    max_tokens: int
    members: int
    words_hidden: int
    voice_hidden: int
    words: FitSpec = field()
    voice: FitSpec = field()
    pseudo: PseudoSpec | None = None
    face_hidden: int = 48
    face_turns: int = 1500
    face: FitSpec | None = None
    heard: float = 0.0
    taught: float = 0.0


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        AdapterError: The file is missing, or its keys are not those of a recipe.
    """
    if not path.is_file():
        raise AdapterError(f"no recipe at {path}: those that ship are in {RECIPES}")
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    parts = {"words": _part(path, FitSpec, raw.pop("words", {})), "voice": _part(path, FitSpec, raw.pop("voice", {}))}
    if "face" in raw:
        parts["face"] = _part(path, FitSpec, raw.pop("face"))
    if "pseudo" in raw:
        parts["pseudo"] = _part(path, PseudoSpec, raw.pop("pseudo"))
    recipe: Recipe = _part(path, Recipe, {**raw, **parts})
    if not (recipe.heard >= 0.0 and 0.0 <= recipe.taught <= 1.0):
        raise AdapterError(f"{path}: heard = {recipe.heard} must be 0 or more, taught = {recipe.taught} from 0 to 1")
    if recipe.heard and recipe.pseudo:
        raise AdapterError(f"{path}: pseudo tokens are trained on written words only; leave out heard")
    return recipe


def _part(path: Path, kind: type[Any], raw: dict[str, Any]) -> Any:
    """One dataclass from one table; lists become tuples."""
    wanted = {spec.name for spec in fields(kind)}
    needed = {spec.name for spec in fields(kind) if spec.default is MISSING}
    unknown, missing = sorted(raw.keys() - wanted), sorted(needed - raw.keys())
    if unknown or missing:
        raise AdapterError(f"{path}, {kind.__name__}: unknown keys {unknown}, missing keys {missing}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()})
