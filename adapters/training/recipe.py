"""What a training run does, from a TOML file."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from adapters.errors import AdapterError

RECIPES = Path(__file__).parents[1] / "recipes"

_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]
Rate = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]


@dataclass(frozen=True, slots=True, config=_CONFIG)
class FitSpec:
    """How one ensemble is fitted.

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
            all epochs and keeps the last. Only the words' ensemble has a dev split to be scored on.
    """

    epochs: Count
    batch: Count
    learning_rate: Rate
    weight_decay: NotNegative
    label_smoothing: Dropout
    dropout: tuple[Dropout, Dropout]
    adjust: NotNegative
    patience: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, slots=True, config=_CONFIG)
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
        dropout: On the answer; on voice and face, their own networks' dropout on inputs.
        adjust: As `FitSpec` has it.
        voices: Share of the turns that are given a (simulated) voice.
        faces: Share of the turns that are given a (simulated) face, where faces are read.
    """

    tokens: Count
    question: Annotated[str, Field(min_length=1)]
    epochs: Count
    batch: Count
    learning_rate: Rate
    weight_decay: NotNegative
    label_smoothing: Dropout
    dropout: Dropout
    adjust: NotNegative
    voices: Share
    faces: Share = 0.0


@dataclass(frozen=True, slots=True, config=_CONFIG)
class LoraSpec:
    """How low-rank adapters are trained inside the frozen LLM, the words' classifier together with them.

    Attributes:
        rank: Of every update.
        first: The lowest layer that has them; the highest is the highest one that is read.
        epochs: Passes over the dialogues.
        tokens: Of a step.
        learning_rate: Highest rate of the one-cycle schedule.
        classifier_rate: Likewise, of the words' classifier.
        weight_decay: AdamW's, of the words' classifier.
        most_per_label: Dialogues of a further corpus whose last turn has one label, at most.
        sharing: Weight of the turns of further corpora; those of the first have 1.
    """

    rank: Count
    first: Count
    epochs: Count
    tokens: Count
    learning_rate: Rate
    classifier_rate: Rate
    weight_decay: NotNegative
    most_per_label: Count = 1200
    sharing: Rate = 1.0


@dataclass(frozen=True, slots=True, config=_CONFIG)
class DataSpec:
    """What is read: names that ``python -m adapters corpora`` lists.

    Attributes:
        dialogues: The data set whose words and labels are learned.
        also: Further ones with the same labels, or some of them, whose words are learned, too; see `LoraSpec`.
        voices: Data sets of voices. They are left out where they lack one of the labels.
        faces: Likewise, one data set of faces.
    """

    dialogues: str
    also: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    faces: str | None = None


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Recipe:
    """One training run.

    Attributes:
        name: The adapter's.
        backbone: Asset, folder or Hugging Face id of the LLM.
        dtype: Number format in which it runs.
        layers: Layers of it that are read.
        intro: What stands before a dialogue.
        max_tokens: Length of a dialogue in tokens.
        members: Networks of each ensemble.
        words_hidden: Hidden width of the words' networks.
        voice_hidden: Hidden width of the voice's networks.
        words: How the words' ensemble is fitted.
        data: What is read.
        voice: How the voice's ensembles are fitted; without it voices are not read.
        pseudo: How pseudo tokens are trained; without it the LLM reads the dialogue only.
        face_hidden: Hidden width of the face's networks.
        face_turns: Turns of each label that are put together from pictures (see `adapters.training.faces`).
        face: How the face's ensemble is fitted; without it faces are not read.
        asr_words: Weight of a turn's words as a recogniser transcribes them (``asr/meld`` in the data folder, see
            ``python -m tracker.bench.asr_copy``) beside the written ones, whose weight is 1; 0 leaves them out.
        soft_targets: Share of the words' targets that comes from classifiers that were not trained on the dialogue
            (see `adapters.training.distil`); 0 takes the labels alone.
        lora: How low-rank adapters inside the LLM are trained; without it the LLM is read as it is.
    """

    name: str
    backbone: str
    dtype: str
    layers: Annotated[tuple[Count, ...], Field(min_length=1)]
    intro: str
    max_tokens: Count
    members: Count
    words_hidden: Count
    words: FitSpec
    data: DataSpec
    voice_hidden: Count = 48
    voice: FitSpec | None = None
    pseudo: PseudoSpec | None = None
    face_hidden: Count = 48
    face_turns: Annotated[int, Field(ge=5)] = 1500
    face: FitSpec | None = None
    asr_words: NotNegative = 0.0
    soft_targets: Share = 0.0
    lora: LoraSpec | None = None

    @property
    def voice_spec(self) -> FitSpec:
        """How the voice's ensembles are fitted.

        Raises:
            AdapterError: Voices are not read.
        """
        if self.voice is None:
            raise AdapterError(f"the recipe {self.name} reads no voices: add a section [voice]")
        return self.voice


def shipped_recipe(name: str) -> Path:
    """The file of a recipe that ships.

    Raises:
        AdapterError: None has this name.
    """
    known = sorted(path.stem for path in RECIPES.glob("*.toml"))
    if name not in known:
        raise AdapterError(f"no recipe is called {name!r}: take {', '.join(known)}, or give a file by --config")
    return RECIPES / f"{name}.toml"


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        AdapterError: The file is missing or no TOML, or its keys and values are not those of a recipe.
    """
    if not path.is_file():
        raise AdapterError(f"no recipe at {path}: those that ship are in {RECIPES}")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AdapterError(f"{path} is no TOML: {error}") from error
    try:
        recipe = TypeAdapter(Recipe).validate_json(json.dumps(raw, default=str), strict=True)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].replace('Input should', 'must')}" for one in error.errors()
        )
        raise AdapterError(f"{path}: {wrong}") from error
    if recipe.asr_words and recipe.pseudo:
        raise AdapterError(f"{path}: pseudo tokens are trained on written words only; leave out asr_words")
    if recipe.lora and recipe.pseudo:
        raise AdapterError(f"{path}: pseudo tokens are trained through the LLM as it is; leave out [lora]")
    if recipe.lora and not 1 <= recipe.lora.first <= max(recipe.layers):
        raise AdapterError(f"{path}: lora.first is {recipe.lora.first}, but layers 1 to {max(recipe.layers)} are run")
    if recipe.data.also and not recipe.lora:
        raise AdapterError(f"{path}: data.also is learned inside the LLM only; add a section [lora]")
    return recipe
