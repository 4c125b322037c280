"""A loaded adapter on its frozen LLM: one turn with its history in, calibrated probabilities out."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from adapters.checkpoint import dimensions as rating
from adapters.checkpoint import store
from adapters.checkpoint.backbone import llm_of
from adapters.checkpoint.conformal import emotions_of
from adapters.checkpoint.dimensions import DimensionCard
from adapters.checkpoint.hub import PREFIX, PRETRAINED, locate
from adapters.checkpoint.store import BackboneSpec, Card
from adapters.contract import (
    Absent,
    DialogueState,
    EmotionScores,
    Estimate,
    Features,
    FeatureSpec,
    LabelSet,
    Modality,
    RecogniserOptions,
    TurnInput,
    Utterance,
)
from adapters.errors import AdapterError
from adapters.features import acoustic, visual
from adapters.llm.backbone import Backbone, choose_device, choose_dtype
from adapters.llm.prefix import CachedDialogue
from adapters.llm.presets import backbone_source, public_name
from adapters.llm.prompt import Prompter, PromptSpec
from adapters.published import checkpoint as published
from adapters.published.recogniser import PublishedRecogniser
from adapters.published.recogniser import load as load_published
from adapters.readout.dimensions import DimensionHead
from adapters.readout.ensemble import pool
from adapters.readout.face import FACE_DIM, summarise_face
from adapters.readout.head import EmotionHead, HeadInput
from adapters.readout.pseudo import Nonverbal, query
from adapters.readout.sounds import telling, with_sound
from adapters.readout.voice_summary import SUMMARY_DIM, VoiceProfile, summarise

__all__ = ["PRETRAINED", "LlmRecogniser", "LlmState", "choose_device", "choose_dtype", "llm_of", "load", "locate"]

log = logging.getLogger(__name__)

Rater = tuple[DimensionHead, DimensionCard]
_NO_WORDS = "no words"
_MOST_SPEAKERS = 64  # whose voices are kept, 3 kB each
# How probable an emotion is without a voice that is heard for the first time, for that voice not to overrule it: there
# is nothing to compare the voice with yet. docs/results.md has what it was chosen on.
_CLEAR = 0.45
_FIRST_HEARD = "first turn of this voice, and the emotion is clear without it"


@dataclass(frozen=True, slots=True, eq=False)
class LlmState(DialogueState):
    """What is kept of a dialogue.

    Attributes:
        dialogue: What the LLM has read: at most the tokens that a dialogue may have; for SmolLM2-135M read up to its
            layer 17, 26 kB each in float32, 11 MB together. None where it has read nothing.
        voices: How each speaker sounded, the latest speaker last.
    """

    dialogue: CachedDialogue | None = None
    voices: Mapping[str, VoiceProfile] = field(default_factory=dict)

    def without_voices(self) -> LlmState:
        """The same dialogue with every speaker's voice forgotten."""
        return LlmState(self.dialogue)


class LlmRecogniser:
    """Reads words with a frozen LLM; the same turn in the same state gives the same scores.

    Use from one thread at a time.

    Args:
        head: The trained adapter.
        card: What is known about it.
        backbone: The LLM that it was trained on.
        prompter: Writes dialogues down in the LLM's tokens.
        abstain_below: Confidence under which no class is reported, in [0, 1].
        raters: Adapters for dimensions of affect, which read the same states.

    Raises:
        AdapterError: ``abstain_below`` is no confidence, or a rater reads other states, or two tell the same dimension.

    Attributes:
        card: As given.
        adapter_id: Name and hash of the adapter, for events; likewise of each rater, behind a plus sign.
        backbone_id: Name and digest of the LLM, for events.
        parameters: How many weights the adapter has.
        feature_specs: What features each modality must bring.
    """

    def __init__(
        self,
        head: EmotionHead,
        card: Card,
        backbone: Backbone,
        prompter: Prompter,
        abstain_below: float = 0.0,
        raters: Sequence[Rater] = (),
    ) -> None:
        if not 0.0 <= abstain_below <= 1.0:
            raise AdapterError(f"abstain_below is {abstain_below}, but a confidence is between 0 and 1")
        _assert_together(card, [of for _, of in raters])
        self.card = card
        self.adapter_id = "+".join([card.adapter_id, *(of.adapter_id for _, of in raters)])
        self.backbone_id = f"{public_name(card.backbone.name)}-{card.backbone.fingerprint[:8]}"
        specs: dict[Modality, FeatureSpec | None] = {"audio": card.audio, "video": card.video}
        self.feature_specs = {modality: spec for modality, spec in specs.items() if spec is not None}
        self.parameters = sum(value.numel() for value in head.parameters())
        self._head = head
        self._backbone = backbone
        self._prompter = prompter
        self._abstain_below = abstain_below
        self._raters = raters

    @property
    def labels(self) -> LabelSet:
        """The classes."""
        return self.card.labels

    @property
    def max_tokens(self) -> int:
        """Tokens that a history and the turn after it may have together; of more, the beginning is not read."""
        return self._prompter.max_tokens

    def count_tokens(self, utterance: Utterance) -> int:
        """Tokens that an utterance takes in a dialogue, for bounding a history."""
        return self._prompter.line_tokens(utterance)

    def start(self) -> LlmState:
        """The state of a dialogue before its first turn: the prompt's introduction is read once for all dialogues."""
        return LlmState(self._introduction)

    @cached_property
    def _introduction(self) -> CachedDialogue | None:
        ids = self._prompter.intro_ids()
        return CachedDialogue(ids, self._backbone.prefix(ids)[0]) if len(ids) else None

    def follow(self, turn: TurnInput, state: DialogueState) -> tuple[EmotionScores, LlmState]:
        """Classify the next turn of a dialogue; only what is new in it is read.

        A voice that is heard for the first time does not overrule what is clear without it. Where there are no words, a
        sound such as laughter counts.

        Scores are those of `scores` (in float32 to 1e-3) but for the speaker's voice, which is normalised by the turns
        before. What a state shares with a history depends on the words alone; where the beginning of the history was
        cut off, the rest is read again.

        Args:
            turn: With its history.
            state: From `start`, or from an earlier turn of this dialogue; it is left as it is.

        Returns:
            The scores, and the state to go on from if this turn turns out to be the next one.

        Raises:
            AdapterError: The features are not those that the adapter was trained on, or another kind of recogniser
                made the state.
        """
        before, speaker = _own(state), turn.utterance.speaker
        voice = _summary(turn.audio, self.card.audio, summarise, of="voice")
        face = _summary(turn.video, self.card.video, summarise_face, of="face")
        has_voice, has_face = (torch.tensor([isinstance(one, Tensor)]) for one in (voice, face))
        profile = before.voices.get(speaker, VoiceProfile())
        heard, total = _row(voice, SUMMARY_DIM), torch.from_numpy(profile.total)[None]
        turns = torch.tensor([float(profile.turns)])
        shape = self.card.shape
        nothing = torch.zeros(len(shape.layers), shape.parts, shape.width)

        def probabilities(words: Tensor | None, has_voice: Tensor) -> Float[Tensor, " classes"]:
            batch = HeadInput(
                words=(nothing if words is None else words)[None],
                has_words=torch.tensor([words is not None]),
                voice=heard,
                before=total,
                turns=turns,
                has_voice=has_voice,
                face=_row(face, FACE_DIM),
                has_face=has_face,
            )
            row: Tensor = self._head(batch)[0].exp().double()
            return row / row.sum()

        with torch.inference_mode():
            normalised = self._head.voice.normalise(heard, total, turns) if self._head.voice else heard
            cues = self._suggested(normalised, has_voice, _row(face, FACE_DIM), has_face)
            words, dialogue = self._read(turn, before.dialogue, cues)
            row, voice_used = probabilities(words, has_voice), _used(voice)
            if profile.turns == 0 and has_voice and words is not None:
                if self._head.pseudo is not None:  # whose answer has heard the voice, too
                    words, _ = self._read(turn, dialogue, replace(cues, has_voice=~has_voice))
                without = probabilities(words, ~has_voice)
                if without.max() >= _CLEAR and without.argmax() != row.argmax():
                    row, voice_used = without, _FIRST_HEARD
            dimensions = {} if words is None else self._rated(words)
        sound = telling(turn.sounds, self.card.labels) if words is None else None
        if sound is not None:
            row = with_sound(row, sound, self.card.labels)
        scores = self._scored(row, words is not None, voice_used, _used(face), dimensions, sound)
        return scores, LlmState(dialogue, _updated(before.voices, speaker, voice))

    def scores(self, turn: TurnInput) -> EmotionScores:
        """Classify one turn, its speaker's voice unknown.

        Raises:
            AdapterError: As `follow`.
        """
        return self.follow(turn, LlmState())[0]

    def emotions(self, scores: EmotionScores) -> tuple[str, ...]:
        """The emotions that a turn may carry: the true one is among them as often as the adapter's card promises.

        Args:
            scores: From this recogniser.

        Returns:
            Their names, the most probable first; all of them where no modality was used.

        Raises:
            AdapterError: The adapter was saved without conformal sets.
        """
        sets = self.card.sets
        if sets is None:
            raise AdapterError(f"{self.adapter_id} was trained without sets of emotions: train it again")
        return emotions_of(sets, scores)

    def _read(
        self,
        turn: TurnInput,
        dialogue: CachedDialogue | None,
        nonverbal: Nonverbal,
    ) -> tuple[Float[Tensor, "read parts d"] | None, CachedDialogue | None]:
        """States of the turn's words and the LLM's answer to its pseudo tokens, or None where it has no words."""
        if not turn.utterance.text.strip():
            return None, dialogue
        layout = self._prompter.layout([*turn.history, turn.utterance])
        start, end = layout.spans[-1]
        ids, pseudo = layout.ids[:end], self._head.pseudo
        known = min(dialogue.shared_length(ids), start) if dialogue else 0
        after = dialogue.prefix.first(known) if dialogue and known else None
        prefix, states = self._backbone.prefix(ids[known:], after)
        words = pool(states, start - known, end - known)
        if pseudo is not None:
            embedded = self._backbone.embed(ids[start:]).mean(0, keepdim=True)
            answer = query(pseudo, self._backbone, prefix, torch.tensor([end]), embedded, nonverbal)
            words = torch.cat([words, answer[0][:, None]], dim=1)
        return words, CachedDialogue(ids, prefix)

    def _suggested(
        self,
        voice: Float[Tensor, "1 summary"],
        has_voice: Bool[Tensor, " 1"],
        face: Float[Tensor, "1 face"],
        has_face: Bool[Tensor, " 1"],
    ) -> Nonverbal:
        """What voice and face suggest by themselves, for the pseudo tokens."""
        none = Nonverbal.none(1, len(self.card.labels))
        if self._head.pseudo is None:
            return none
        heard = none.voice if self._head.voice is None else self._head.voice(voice)
        seen = none.face if self._head.face is None else self._head.face(face)
        return Nonverbal(heard, has_voice, seen, has_face)

    def _rated(self, words: Float[Tensor, "read parts d"]) -> dict[str, Estimate]:
        """Where a turn lies in each dimension, by its words."""
        found: dict[str, Estimate] = {}
        for head, card in self._raters:
            for value, about in zip(head(words[None])[0].double().tolist(), card.dimensions, strict=True):
                low, high = max(-1.0, value - about.within), min(1.0, value + about.within)
                found[about.name] = Estimate(value, low, high)
        return found

    def _scored(
        self,
        row: Float[Tensor, " classes"],
        words: bool,
        voice: str,
        face: str,
        dimensions: Mapping[str, Estimate],
        sound: str | None,
    ) -> EmotionScores:
        """The scores of one turn; ``voice`` and ``face`` are ``used`` or why they were not."""
        confidence = float(row.max())
        abstained = None
        if not words and sound is None and voice != "used" and face != "used":
            read = (self.card.audio, voice), (self.card.video, face)
            missing = [_NO_WORDS, *(why for spec, why in read if spec is not None)]
            abstained = f"nothing to judge by: {'; '.join(missing)}"
        elif confidence < self._abstain_below:
            abstained = f"confidence {confidence:.2f} under {self._abstain_below:.2f}"
        return EmotionScores(
            labels=self.card.labels,
            probabilities=tuple(row.tolist()),
            modalities={"text": "used" if words else _NO_WORDS, "audio": voice, "video": face},
            abstained=abstained,
            dimensions=dimensions,
        )


def _assert_together(card: Card, others: Sequence[DimensionCard]) -> None:
    """Compare what adapters read, which must be the same for one pass of the LLM to serve them all."""
    for other in others:
        mine, its = (
            _reads(card.backbone, card.prompt, card.shape.layers),
            _reads(other.backbone, other.prompt, other.layers),
        )
        if mine != its:
            raise AdapterError(
                f"{other.name} reads {its}, but {card.name} reads {mine}: train it beside {card.name} "
                "(python -m adapters dimensions --beside)"
            )
    names = [dimension.name for other in others for dimension in other.dimensions]
    if twice := [name for name in names if names.count(name) > 1]:
        raise AdapterError(f"two adapters tell {twice[0]}: name one of them")


def _reads(backbone: BackboneSpec, prompt: PromptSpec, layers: Sequence[int]) -> str:
    digest = hashlib.sha256(repr(prompt).encode()).hexdigest()[:8]
    inside = f", low-rank adapters {backbone.lora[:8]}" if backbone.lora else ""
    read = f"layers {', '.join(map(str, layers))} of {backbone.name}"
    return f"{read} ({backbone.fingerprint[:8]}, prompt {digest}{inside})"


def _own(state: DialogueState) -> LlmState:
    if not isinstance(state, LlmState):
        raise AdapterError(f"a {type(state).__name__} is of another recogniser: begin with start()")
    return state


def _updated(voices: Mapping[str, VoiceProfile], speaker: str, summary: Tensor | str) -> Mapping[str, VoiceProfile]:
    """The voices with one more turn of a speaker, if it had a usable voice; the least recent speakers drop out."""
    if isinstance(summary, str):
        return voices
    others = [(name, profile) for name, profile in voices.items() if name != speaker]
    latest = speaker, voices.get(speaker, VoiceProfile()).updated(summary.numpy())
    return dict([*others, latest][-_MOST_SPEAKERS:])


def _row(summary: Tensor | str, dim: int) -> Float[Tensor, "1 summary"]:
    """A batch of one summary; zeros where there is none."""
    return torch.zeros(1, dim) if isinstance(summary, str) else summary[None]


def _used(summary: Tensor | str) -> str:
    """``used``, or the reason why there is none."""
    return summary if isinstance(summary, str) else "used"


def _summary(
    given: Features | Absent, spec: FeatureSpec | None, summarise: Callable[[np.ndarray], np.ndarray], of: str
) -> Float[Tensor, " summary"] | str:
    """One vector of a turn's voice or face, or why there is none; ``spec`` is what the adapter was trained on."""
    if isinstance(given, Absent):
        return given.reason
    if spec is None:
        return "not read by this adapter"
    if given.spec != spec:
        raise AdapterError(f"the adapter was trained on {spec}, but was given {given.spec}")
    if len(given.values) == 0 or not np.isfinite(given.values).all():
        return f"no usable {of} features"
    return torch.from_numpy(summarise(given.values))


def load(
    folder: str | Path = "default",
    backbone: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    *,
    dtype: str = "auto",
    abstain_below: float = 0.0,
    any_backbone: bool = False,
    dimensions: Sequence[str | Path] = (),
) -> LlmRecogniser:
    """Load an adapter and the LLM under it.

    Args:
        folder: Its checkpoint, the name of one that ships with the package, or ``hf:owner/name`` on the hub.
        backbone: Folder or Hugging Face id of the LLM; the one that the card names if not given.
        device: ``auto``, ``cpu``, ``cuda`` ...
        threads: Threads of one operation on the CPU, for the whole process; PyTorch's choice if not given.
        dtype: Number format of the LLM: ``auto``, ``float32`` or ``bfloat16``.
        abstain_below: Confidence under which no class is reported.
        any_backbone: Accept an LLM with other weights than the adapter was trained on, such as another quantisation.
        dimensions: Adapters for dimensions of affect, named likewise.

    Raises:
        AdapterError: A checkpoint or the LLM is missing, damaged, or they do not belong together.
    """
    if math.isnan(abstain_below):
        raise AdapterError("abstain_below is not a number")
    if threads is not None:
        torch.set_num_threads(threads)
    head, card = store.load(locate(folder), acoustic.SPEC, visual.SPEC)
    raters = [rating.load(locate(name, rating.verify)) for name in dimensions]
    _assert_together(card, [of for _, of in raters])  # before the LLM is loaded, which takes seconds
    source = backbone if backbone is not None else backbone_source(card.backbone.name)
    llm, prompter = llm_of(head, card, source, device=device, dtype=dtype, any_backbone=any_backbone)
    return LlmRecogniser(head, card, llm, prompter, abstain_below, raters)


def from_options(options: RecogniserOptions) -> LlmRecogniser | PublishedRecogniser:
    """Load an adapter as the tracker asks for it: the built-in entry in ``emotion_tracker.recognisers``.

    An adapter in the paper's own layout reads every turn from the beginning; how long that takes is logged.

    Raises:
        AdapterError: As `load`, or as `adapters.published.recogniser.load`; or dimensions are asked for beside an
            adapter that reads no states that they could share.
    """
    folder = locate(options.adapter, _verify)
    in_papers_layout = published.is_one(folder)
    card = published.verify(folder) if in_papers_layout else store.read_card(folder)
    backbone = options.backbones.get(card.backbone.name)
    if not in_papers_layout:
        return load(
            folder,
            backbone,
            options.device,
            options.threads,
            abstain_below=options.abstain_below,
            dimensions=options.dimensions,
        )
    if options.dimensions:
        raise AdapterError(
            f"{card.adapter_id} has the paper's layout and reads no states that {options.dimensions[0]} could share: "
            "leave out recognise.dimensions"
        )
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    loaded = load_published(folder, backbone, options.device, options.abstain_below)
    log.warning(
        "the adapter %s has the paper's layout, so every turn is read from the beginning: %d ms for a turn here",
        loaded.adapter_id,
        round(loaded.milliseconds()),
    )
    return loaded


def backbone_of(adapter: str) -> str | None:
    """The name of the LLM that an adapter reads, or None where that is known only once the hub has been asked.

    Raises:
        AdapterError: There is no such adapter, or it is damaged.
    """
    if adapter.startswith(PREFIX):
        return None
    folder = locate(adapter)
    return (published.verify(folder) if published.is_one(folder) else store.read_card(folder)).backbone.name


def _verify(folder: Path) -> object:
    return published.verify(folder) if published.is_one(folder) else store.verify(folder)
