"""An adapter in the paper's own layout, live: pseudo tokens before the words, every answer scored by the whole LLM.

What stands before the words changes with every turn, so nothing that the LLM read of the dialogue can be kept: each
turn is read with the five before it, from the beginning.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from adapters.checkpoint.conformal import emotions_of
from adapters.contract import (
    MELD_LABELS,
    Absent,
    DialogueState,
    EmotionScores,
    Features,
    FeatureSpec,
    LabelSet,
    Modality,
    TurnInput,
    Utterance,
)
from adapters.errors import AdapterError
from adapters.features import acoustic, visual
from adapters.llm.presets import public_name
from adapters.mse.adapter import MseAdapter
from adapters.mse.tasks import TASKS
from adapters.published import checkpoint
from adapters.published.checkpoint import Calibration, MseCard
from adapters.published.inputs import PROCESSED, Turn, batch_of, text_of, thinned
from adapters.published.model import FrozenLlm, load_llm

MAX_TOKENS = 1024  # of a history and its turn; six turns of three minutes
LABELS: Mapping[str, LabelSet] = {"meld": MELD_LABELS}  # data sets whose answers are emotions that are published
_CASES = "words", "words and voice", "words and face", "words, voice and face"
_NO_WORDS = "no words, and this adapter reads voice and face beside words only"
_TYPICAL = 6 * (Utterance("Speaker 1", "I thought that you would be here at ten, like everybody else."),)


class NothingKept(DialogueState):
    """The state of a dialogue of which nothing is kept."""

    __slots__ = ()


class PublishedRecogniser:
    """Reads every turn anew with the whole LLM; use from one thread at a time.

    Args:
        adapter: In the paper's layout.
        card: What is known about it; calibrated.
        llm: The LLM beside which it was trained.
        abstain_below: Confidence under which no class is reported, in [0, 1].

    Raises:
        AdapterError: The adapter is not for live use, or ``abstain_below`` is no confidence.

    Attributes:
        card: As given.
        adapter_id: Method, data set and hash of the adapter, for events.
        backbone_id: Name and digest of the LLM, for events.
        parameters: How many weights the adapter has.
        feature_specs: What features each modality must bring.
        max_tokens: Tokens that a history and the turn after it may have together.
    """

    max_tokens = MAX_TOKENS

    def __init__(self, adapter: MseAdapter, card: MseCard, llm: FrozenLlm, abstain_below: float = 0.0) -> None:
        if not 0.0 <= abstain_below <= 1.0:
            raise AdapterError(f"abstain_below is {abstain_below}, but a confidence is between 0 and 1")
        self.card = card
        self.adapter_id = card.adapter_id
        self.backbone_id = f"{public_name(card.backbone.name)}-{card.backbone.fingerprint[:8]}"
        specs: dict[Modality, FeatureSpec | None] = {"audio": card.audio, "video": card.video}
        self.feature_specs = {modality: spec for modality, spec in specs.items() if spec is not None}
        self.parameters = adapter.parameter_count
        self._labels, self._calibration = assert_live(card)
        self._model = llm.beside(adapter.train(False).requires_grad_(False), TASKS[card.dataset])
        self._tokenizer = llm.tokenizer
        self._abstain_below = abstain_below

    @property
    def labels(self) -> LabelSet:
        """The classes."""
        return self._labels

    def count_tokens(self, utterance: Utterance) -> int:
        """Tokens that an utterance takes in a dialogue, for bounding a history."""
        text = f"{utterance.speaker}: {utterance.text}\n"
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def start(self) -> NothingKept:
        """The state of a dialogue before its first turn."""
        return NothingKept()

    def follow(self, turn: TurnInput, state: DialogueState) -> tuple[EmotionScores, NothingKept]:
        """Classify the next turn of a dialogue; it is read from the beginning.

        Raises:
            AdapterError: The features are not those that the adapter was trained on, or another kind of recogniser
                made the state.
        """
        if not isinstance(state, NothingKept):
            raise AdapterError(f"a {type(state).__name__} is of another recogniser: begin with start()")
        return self.scores(turn), state

    def scores(self, turn: TurnInput) -> EmotionScores:
        """Classify one turn.

        Raises:
            AdapterError: The features are not those that the adapter was trained on.
        """
        shape = self.card.shape
        audio, voice = _frames(turn.audio, self.card.audio, shape.audio.dim, thinned)
        video, face = _frames(turn.video, self.card.video, shape.video.dim, torch.from_numpy)
        if not turn.utterance.text.strip():
            why = f"nothing to judge by: {_NO_WORDS}"
            unread = "not read without words"
            alike = (1.0 / len(self._labels),) * len(self._labels)
            return EmotionScores(self._labels, alike, {"text": "no words", "audio": unread, "video": unread}, why)
        one = Turn(text_of([*turn.history, turn.utterance]), audio, video)
        if not shape.live:
            one = replace(one, audio=torch.zeros(1, shape.audio.dim), video=torch.zeros(1, shape.video.dim))
        log_probs = self._model.scores(batch_of([one]))[0].double().cpu()
        row = (log_probs / self._calibration.temperature).softmax(-1)
        if not torch.isfinite(row).all():
            raise AdapterError("the LLM's answers are not numbers")
        confidence = float(row.max())
        abstained = None
        if confidence < self._abstain_below:
            abstained = f"confidence {confidence:.2f} under {self._abstain_below:.2f}"
        return EmotionScores(
            self._labels, tuple(row.tolist()), {"text": "used", "audio": voice, "video": face}, abstained
        )

    def emotions(self, scores: EmotionScores) -> tuple[str, ...]:
        """The conformal set of a turn, the most probable emotion first."""
        return emotions_of(self._calibration.sets, scores)

    def milliseconds(self) -> float:
        """How long a turn takes here with five before it, of a dozen words each."""
        turn = TurnInput(_TYPICAL[-1], _TYPICAL[:-1])
        self.scores(turn)
        begun = time.perf_counter()
        self.scores(turn)
        return 1000.0 * (time.perf_counter() - begun)


def assert_live(card: MseCard) -> tuple[LabelSet, Calibration]:
    """Look whether an adapter can judge live turns.

    Returns:
        Its classes and its calibration.

    Raises:
        AdapterError: It cannot.
    """
    if card.source == PROCESSED:
        raise AdapterError(
            f"{card.adapter_id} reads the authors' features of {card.dataset} ({card.shape.audio.dim} a voice frame, "
            f"{card.shape.video.dim} a face frame), and live there are {acoustic.SPEC} and {visual.SPEC}: "
            "train it with --live"
        )
    for made_for, extracted in ((card.audio, acoustic.SPEC), (card.video, visual.SPEC)):
        if made_for not in (None, extracted):
            raise AdapterError(f"{card.adapter_id} reads {made_for}, this version extracts {extracted}: train it again")
    widths = [(card.audio, card.shape.audio.dim), (card.video, card.shape.video.dim)]
    if card.dataset not in LABELS or any(spec is not None and spec.dim != width for spec, width in widths):
        raise AdapterError(f"{card.adapter_id} fits no live turns: its data set is {card.dataset}, {card.shape}")
    labels, calibration = LABELS[card.dataset], card.calibration
    cases = _CASES if card.shape.live else _CASES[:1]
    if calibration is None or any(len(calibration.sets.limits.get(case, ())) != len(labels) for case in cases):
        raise AdapterError(f"{card.adapter_id} was trained without calibration: train it again, on turns of every case")
    return labels, calibration


def load(
    folder: Path,
    backbone: str | Path | None = None,
    device: str = "auto",
    abstain_below: float = 0.0,
    dtype: str = "auto",
) -> PublishedRecogniser:
    """Load an adapter and the whole LLM beside it.

    Args:
        folder: Where it is.
        backbone: Folder or name of the LLM; the one that the card names if not given.
        device: ``auto``, ``cpu``, ``cuda`` ...
        abstain_below: Confidence under which no class is reported.
        dtype: Number format of the LLM: ``auto``, ``float32`` or ``bfloat16``.

    Raises:
        AdapterError: The adapter or the LLM is missing or damaged, or is not for live use.
    """
    if math.isnan(abstain_below):
        raise AdapterError("abstain_below is not a number")
    adapter, card = checkpoint.load(folder)
    assert_live(card)  # before the LLM is loaded, which takes seconds
    llm = load_llm(str(backbone or card.backbone.name), dtype, device)
    checkpoint.assert_beside(folder, card, llm)
    return PublishedRecogniser(adapter, card, llm, abstain_below)


def _frames(
    given: Features | Absent,
    spec: FeatureSpec | None,
    width: int,
    read: Callable[[np.ndarray], Tensor],
) -> tuple[Float[Tensor, "time dim"], str]:
    """A modality's frames, none where it is absent, and ``used`` or the reason."""
    nothing = torch.zeros(0, width)
    if isinstance(given, Absent):
        return nothing, given.reason
    if spec is None:
        return nothing, "not read by this adapter"
    if given.spec != spec:
        raise AdapterError(f"the adapter was trained on {spec}, but was given {given.spec}")
    if len(given.values) == 0 or not np.isfinite(given.values).all():
        return nothing, "no usable features"
    return read(given.values), "used"
