"""What each part of the pseudo tokens adds, trained through the frozen LLM on the first few dialogues.

A variant swaps a module of `adapters.readout.pseudo.PseudoTokens` for a simpler one; the classifiers behind them are
fitted as the recipe fits them. Metrics are on the first dialogues of dev, with and without simulated voices, from
the LLM's states alone; late fusion with the voice classifier is left to `adapters.evaluation.modalities`.

Letters: ``b`` turns, ``d`` the LLM's width, ``n`` pseudo tokens, ``words`` of a turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from adapters.llm.backbone import Backbone
from adapters.mse.encoders import COMMON
from adapters.mse.fusion import MultiScaleFusion
from adapters.readout.ensemble import Ensemble, mean_log_probs
from adapters.readout.pseudo import Nonverbal, PseudoShape, PseudoTokens
from adapters.training.fit import fit_ensemble
from adapters.training.fit_pseudo import fit_pseudo, query_corpus
from adapters.training.metrics import compute_metrics
from adapters.training.modality_scores import Split, VoicePool
from adapters.training.recipe import PseudoSpec, Recipe
from adapters.training.simulate import draw

COLUMNS = ("weighted F1", "macro F1", "weighted F1 with voices", "macro F1 with voices")

Alter = Callable[[PseudoTokens], None]
"""Takes something away."""

_WRONG = 0.01  # share of each wrong label, beside 1, where labels leak
POOLED, ANSWER = (0, 1), (2,)  # of the parts of a state: the turn's own words, the answer


class VoiceAlone(nn.Module):
    """In place of the Text-Guide-Mixer: voice and face added up, whatever the words are."""

    def forward(
        self, text: Float[Tensor, "b words d"], audio: Float[Tensor, "b 256"], video: Float[Tensor, "b 256"]
    ) -> Float[Tensor, "b 256"]:
        """The words are not looked at."""
        del text
        return audio + video


class OneLayer(nn.Module):
    """In place of Multi-Scale Fusion: one linear layer."""

    def __init__(self, d: int, n: int) -> None:
        super().__init__()
        self.widen = nn.Linear(COMMON, d * n)
        self._n = n

    def forward(self, mixed: Float[Tensor, "b 256"]) -> Float[Tensor, "b n d"]:
        """Pseudo tokens."""
        made: Tensor = self.widen(mixed).unflatten(-1, (self._n, -1))
        return made


class NoTokens(nn.Module):
    """In place of Multi-Scale Fusion: nothing, so that the question stands alone."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self._d = d

    def forward(self, mixed: Float[Tensor, "b 256"]) -> Float[Tensor, "b 0 d"]:
        """No pseudo tokens."""
        return mixed.new_zeros(len(mixed), 0, self._d)


def _sizes(pseudo: PseudoTokens) -> tuple[int, int]:
    """``d`` and ``n``."""
    d = pseudo.question.shape[1]
    return d, pseudo.fusion.widen.out_features // d


def whole(pseudo: PseudoTokens) -> None:
    """The whole."""


def without_mixer(pseudo: PseudoTokens) -> None:
    """Voice and face go straight to the fusion."""
    pseudo.register_module("mixer", VoiceAlone())


def without_fusion(pseudo: PseudoTokens) -> None:
    """One linear layer makes the tokens."""
    pseudo.register_module("fusion", OneLayer(*_sizes(pseudo)))


def tied(pseudo: PseudoTokens) -> None:
    """The tokens are multiples of one vector, as the paper has them."""
    pseudo.fusion = MultiScaleFusion(*_sizes(pseudo))


def without_vector(pseudo: PseudoTokens) -> None:
    """Zeros stand for a voice that is not there."""
    nn.init.zeros_(pseudo.no_voice)
    pseudo.no_voice.requires_grad_(False)


def without_tokens(pseudo: PseudoTokens) -> None:
    """The question stands alone."""
    pseudo.register_module("fusion", NoTokens(_sizes(pseudo)[0]))


@dataclass(frozen=True, slots=True)
class Variant:
    """One row of the table.

    Attributes:
        name: What is taken away.
        alter: Takes it away.
        parts: Which parts of a turn's states are classified.
        leak: Write the label into the voice: what pseudo tokens could carry at best.
    """

    name: str
    alter: Alter = whole
    parts: tuple[int, ...] = POOLED + ANSWER
    leak: bool = False

    @property
    def needs_tokens(self) -> bool:
        """Whether pseudo tokens are needed at all."""
        return self.parts != POOLED


VARIANTS = (
    Variant("the whole"),
    Variant("pooled states alone, no question", parts=POOLED),
    Variant("the answer alone", parts=ANSWER),
    Variant("the question alone, no pseudo tokens", without_tokens),
    Variant("without Text-Guide-Mixer", without_mixer),
    Variant("without Multi-Scale Fusion", without_fusion),
    Variant("tied pseudo tokens, Linear(1, n)", tied),
    Variant("zeros in place of an absent voice", without_vector),
    Variant("the whole, labels leaked into the voice", leak=True),
    Variant("the answer alone, labels leaked into the voice", parts=ANSWER, leak=True),
)


def build(
    alter: Alter, d: int, shape: PseudoShape, classes: int, question: Float[Tensor, "q d"], seed: int
) -> PseudoTokens:
    """Fresh pseudo tokens with something taken away."""
    torch.manual_seed(seed)
    pseudo = PseudoTokens(d, shape, classes)
    alter(pseudo)
    pseudo.initialise(question)
    return pseudo


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """What all variants share.

    Attributes:
        recipe: How the classifiers are fitted.
        spec: How pseudo tokens are trained.
        backbone: The frozen LLM.
        question: Embeddings of the question in words.
        fitting: The dialogues to train on.
        dev: Those to evaluate on.
        heard: Voices that are drawn from in training, with the scores of classifiers that do not know them.
        held_out: Voices that are drawn from in evaluation.
    """

    recipe: Recipe
    spec: PseudoSpec
    backbone: Backbone
    question: Float[Tensor, "q d"]
    fitting: Split
    dev: Split
    heard: VoicePool
    held_out: VoicePool


Both = tuple[Float[Tensor, "turns read parts d"], Float[Tensor, "turns read parts d"]]
"""States of turns without a voice, and with one."""


@dataclass(frozen=True, slots=True, eq=False)
class AnswerStates:
    """The states of every turn, in training and in evaluation."""

    fitting: Both
    dev: Both


def _voices(pool: VoicePool, split: Split, seed: int, *, leak: bool) -> Nonverbal:
    """A voice for every turn, of a speaker who is known; where labels leak, each is sure of the right one."""
    labels, known = split.rows.labels, split.rows.label_set
    none = Nonverbal.none(len(labels), len(known))
    voice = pool.scores[-1, draw(labels, pool.labels, known, seed)]
    if leak:
        voice = torch.full_like(voice, _WRONG).scatter(1, labels[:, None], 1.0).log().log_softmax(-1)
    return replace(none, voice=voice, has_voice=~none.has_voice)


@cache
def train_tokens(bench: Bench, alter: Alter, seed: int, leak: bool = False) -> AnswerStates:
    """Train pseudo tokens with something taken away, and run them; done once for all rows of the table."""
    spec = bench.spec
    shape = PseudoShape(spec.tokens, len(bench.question))
    rows = bench.fitting.rows
    pseudo = build(alter, bench.backbone.width, shape, len(rows.label_set), bench.question, seed)
    pseudo.measure(_voices(bench.heard, bench.fitting, seed, leak=leak).voice, None)

    def some(epoch: int) -> Nonverbal:
        every = _voices(bench.heard, bench.fitting, seed + epoch, leak=leak)
        return replace(every, has_voice=torch.rand(len(every.has_voice)) < spec.voices)

    fit_pseudo(pseudo, bench.backbone, bench.fitting.chunks, rows.labels, len(rows.label_set), some, spec)

    def states(split: Split, voices: Nonverbal) -> Float[Tensor, "turns read parts d"]:
        return torch.cat(
            [split.rows.states, query_corpus(pseudo, bench.backbone, split.chunks, voices)[:, :, None]], dim=2
        )

    def both(split: Split, pool: VoicePool, seed: int) -> Both:
        silent = Nonverbal.none(len(split.rows.labels), len(rows.label_set))
        return states(split, silent), states(split, _voices(pool, split, seed, leak=leak))

    return AnswerStates(both(bench.fitting, bench.heard, seed + spec.epochs), both(bench.dev, bench.held_out, seed))


def evaluate(variant: Variant, bench: Bench, seed: int) -> tuple[float, float, float, float]:
    """Weighted and macro F1 of one variant and seed, without voices, then with simulated ones."""
    if variant.needs_tokens:
        states = train_tokens(bench, variant.alter, seed, variant.leak)
    else:
        fitting, dev = bench.fitting.rows.states, bench.dev.rows.states
        states = AnswerStates((fitting, fitting), (dev, dev))
    inputs, *evaluated = (one[:, :, list(variant.parts)].flatten(1) for one in (torch.cat(states.fitting), *states.dev))
    torch.manual_seed(seed)
    recipe, labels, names = bench.recipe, bench.fitting.rows.labels.repeat(2), bench.fitting.rows.label_set.labels
    ensemble = Ensemble(inputs.shape[1], recipe.words_hidden, recipe.members, len(names), recipe.words.dropout)
    fit_ensemble(ensemble, inputs, labels, torch.ones(len(labels)), recipe.words)
    found: list[float] = []
    for rows in evaluated:
        with torch.no_grad():
            probabilities = mean_log_probs(ensemble(rows)).exp().numpy()
        result = compute_metrics(probabilities, bench.dev.rows.labels.numpy(), names)
        found += [result["weighted_f1"], result["macro_f1"]]
    return found[0], found[1], found[2], found[3]
