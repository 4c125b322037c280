"""What each part of the pseudo tokens adds, trained through the frozen LLM on the first few dialogues.

A variant swaps a module of `adapters.readout.pseudo.PseudoTokens` for a simpler one; the readers behind them are fitted
as the recipe fits them. Figures are on the first dialogues of MELD dev, with and without simulated voices, by what the
LLM says alone: how the voice's own reader and the words are weighed is left to `adapters.evaluation.modalities`.

Letters: ``b`` turns, ``d`` the LLM's width, ``n`` pseudo tokens, ``words`` of a turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from adapters.contract import MELD_LABELS
from adapters.llm.backbone import Backbone
from adapters.mse.encoders import COMMON
from adapters.mse.fusion import MultiScaleFusion
from adapters.readout.members import Members, average
from adapters.readout.pseudo import PseudoShape, PseudoTokens
from adapters.readout.voice import VoiceReader
from adapters.training.feature_cache import VoiceRows
from adapters.training.fit import fit_members
from adapters.training.fit_pseudo import Voices, ask, fit_pseudo
from adapters.training.metrics import figures
from adapters.training.modality_scores import Split, no_voices
from adapters.training.recipe import PseudoSpec, Recipe
from adapters.training.simulate import draw
from adapters.training.voices import MOMENTS, average_voice, centred

COLUMNS = ("weighted F1", "macro F1", "weighted F1 with voices", "macro F1 with voices")

Alter = Callable[[PseudoTokens], None]
"""Takes something away."""

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
    """In place of Multi-Scale Fusion: nothing, so that the question is all that is asked."""

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
    """The question is all that is asked."""
    pseudo.register_module("fusion", NoTokens(_sizes(pseudo)[0]))


@dataclass(frozen=True, slots=True)
class Variant:
    """One row of the table.

    Attributes:
        name: What is taken away.
        alter: Takes it away.
        seen: Which parts of a turn's states the words' reader sees.
    """

    name: str
    alter: Alter = whole
    seen: tuple[int, ...] = POOLED + ANSWER

    @property
    def asks(self) -> bool:
        """Whether pseudo tokens are needed at all."""
        return self.seen != POOLED


VARIANTS = (
    Variant("the whole"),
    Variant("pooled states alone, nothing asked", seen=POOLED),
    Variant("the answer alone", seen=ANSWER),
    Variant("the question alone, no pseudo tokens", without_tokens),
    Variant("without Text-Guide-Mixer", without_mixer),
    Variant("without Multi-Scale Fusion", without_fusion),
    Variant("tied pseudo tokens, Linear(1, n)", tied),
    Variant("zeros in place of an absent voice", without_vector),
)


def build(
    alter: Alter, d: int, shape: PseudoShape, dropout: float, question: Float[Tensor, "q d"], seed: int
) -> PseudoTokens:
    """Fresh pseudo tokens with something taken away."""
    torch.manual_seed(seed)
    pseudo = PseudoTokens(d, shape, dropout)
    alter(pseudo)
    pseudo.ask(question)
    return pseudo


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """What all variants share.

    Attributes:
        recipe: How the readers are fitted.
        spec: How pseudo tokens are trained.
        backbone: The frozen LLM.
        question: Embeddings of the question in words.
        fitting: The dialogues to train on.
        judged: Those to judge.
        voices: Drawn from for the turns: in training those that are not held out, in judging the others.
    """

    recipe: Recipe
    spec: PseudoSpec
    backbone: Backbone
    question: Float[Tensor, "q d"]
    fitting: Split
    judged: Split
    voices: VoiceRows


Both = tuple[Float[Tensor, "turns read parts d"], Float[Tensor, "turns read parts d"]]
"""States of turns without a voice, and with one."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The states of every turn, in training and in judging."""

    fitting: Both
    judged: Both


def _pool(bench: Bench, seed: int, *, held_out: bool) -> tuple[Float[Tensor, "pool summary"], Int[Tensor, " pool"]]:
    """Voices whose speakers were heard for a while, and what they express."""
    reader = VoiceReader(1, 1, len(MELD_LABELS), (0.0, 0.0))  # for the average voice; what it says is not asked
    reader.usual.copy_(average_voice(bench.voices.where(~bench.voices.held_out.numpy())))
    some = bench.voices.where(bench.voices.held_out.numpy() == held_out)
    return centred(reader, some, MOMENTS[-1], seed), some.labels


def _heard(bench: Bench, split: Split, seed: int, *, held_out: bool) -> Voices:
    """A voice for every turn."""
    pool, shown = _pool(bench, seed, held_out=held_out)
    labels = split.rows.labels
    return pool[draw(labels, shown, seed)], torch.ones(len(labels), dtype=torch.bool)


@cache
def asked(bench: Bench, alter: Alter, seed: int) -> Asked:
    """Train pseudo tokens with something taken away, and ask with them; done once for all rows of the table."""
    spec = bench.spec
    shape = PseudoShape(spec.tokens, len(bench.question))
    pseudo = build(alter, bench.backbone.width, shape, bench.recipe.voice.dropout[0], bench.question, seed)
    pseudo.measure(_pool(bench, seed, held_out=False)[0])

    def some(epoch: int) -> Voices:
        heard, every = _heard(bench, bench.fitting, seed + epoch, held_out=False)
        return heard, torch.rand(len(every)) < spec.voices

    fit_pseudo(pseudo, bench.backbone, bench.fitting.parts, bench.fitting.rows.labels, some, spec)

    def states(split: Split, given: Voices) -> Float[Tensor, "turns read parts d"]:
        return torch.cat([split.rows.states, ask(pseudo, bench.backbone, split.parts, given)[:, :, None]], dim=2)

    def both(split: Split, seed: int, *, held_out: bool) -> Both:
        quiet, heard = no_voices(split.rows.labels), _heard(bench, split, seed, held_out=held_out)
        return states(split, quiet), states(split, heard)

    return Asked(both(bench.fitting, seed + spec.epochs, held_out=False), both(bench.judged, seed, held_out=True))


def judge(variant: Variant, bench: Bench, seed: int) -> tuple[float, float, float, float]:
    """Weighted and macro F1 of one variant and seed, without voices, then with simulated ones."""
    if variant.asks:
        read = asked(bench, variant.alter, seed)
    else:
        given, heard = bench.fitting.rows.states, bench.judged.rows.states
        read = Asked((given, given), (heard, heard))
    inputs, *judged = (
        states[:, :, list(variant.seen)].flatten(1) for states in (torch.cat(read.fitting), *read.judged)
    )
    torch.manual_seed(seed)
    recipe, labels = bench.recipe, bench.fitting.rows.labels.repeat(2)
    members = Members(inputs.shape[1], recipe.words_hidden, recipe.members, len(MELD_LABELS), recipe.words.dropout)
    fit_members(members, inputs, labels, torch.ones(len(labels)), recipe.words)
    found: list[float] = []
    for rows in judged:
        with torch.no_grad():
            probabilities = average(members(rows)).exp().numpy()
        result = figures(probabilities, bench.judged.rows.labels.numpy(), MELD_LABELS.labels)
        found += [result["weighted_f1"], result["macro_f1"]]
    return found[0], found[1], found[2], found[3]
