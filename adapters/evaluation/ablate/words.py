"""What each part of the words' classifier adds.

Each variant takes one thing away from the recipe and is fitted anew with several seeds on states that the LLM has read
once; metrics are on MELD dev, uncalibrated.

Letters: ``b`` turns, ``read`` layers, ``parts`` states of each layer (mean and last), ``d`` the LLM's width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from jaxtyping import Float
from torch import Tensor, nn

from adapters.contract import MELD_LABELS, Utterance
from adapters.datasets.records import Dialogues, Line
from adapters.llm.backbone import Backbone
from adapters.llm.prompt import Prompter, PromptSpec
from adapters.readout.ensemble import Ensemble, Standardiser, mean_log_probs, pool
from adapters.training.feature_cache import WordRows, cached, word_rows
from adapters.training.fit import fit_ensemble
from adapters.training.metrics import compute_metrics
from adapters.training.progress import progress
from adapters.training.recipe import Recipe

_AT_ONCE = 32  # turns that are read side by side

COLUMNS = ("weighted F1", "macro F1")

Pick = Callable[[Float[Tensor, "b read parts d"]], Tensor]


def _anonymous(line: Line) -> Line:
    return replace(line, utterance=Utterance("anyone", line.utterance.text))


def unattributed(corpus: Dialogues) -> Dialogues:
    """The dialogues as if one person had spoken all turns: the history is known, but not its speakers."""
    return replace(corpus, dialogues=tuple(tuple(map(_anonymous, dialogue)) for dialogue in corpus.dialogues))


def alone_rows(corpus: Dialogues, backbone: Backbone, prompter: Prompter, spec: PromptSpec) -> WordRows:
    """Every labelled turn read as a dialogue of its own: the intro once, turns of the same length side by side."""
    lines = [line for dialogue in corpus.dialogues for line in dialogue if line.label is not None]

    def make() -> Tensor:
        intro = prompter.intro_ids()
        prefix, _ = backbone.prefix(intro)
        layouts = [prompter.layout([_anonymous(line).utterance]) for line in lines]
        order = sorted(range(len(lines)), key=lambda row: len(layouts[row].ids))
        rows = torch.empty(len(lines), len(backbone.read), 2, backbone.width)
        for _, group in groupby(progress(order, "reading turns"), key=lambda row: len(layouts[row].ids)):
            for some in torch.tensor(list(group)).split(_AT_ONCE):
                ids = torch.stack([layouts[row].ids[len(intro) :] for row in some])
                embeds = backbone.embed(ids.flatten()).unflatten(0, ids.shape)
                with torch.no_grad():
                    states = backbone.suffixes(prefix, embeds, torch.full((len(some),), len(intro)))
                for read, row in zip(states.unbind(1), some, strict=True):
                    start, end = layouts[row].spans[0]
                    rows[row] = pool(read, start - len(intro), end - len(intro))
        return rows.half()

    key = (backbone.weights_digest, backbone.read, spec, [line.utterance.text for line in lines])
    return WordRows(cached("alone", key, make).float(), torch.tensor(corpus.labels), torch.tensor(corpus.dialogue_ids))


def contexts(corpus: Dialogues, backbone: Backbone, prompter: Prompter, spec: PromptSpec) -> dict[str, WordRows]:
    """A corpus by what the LLM reads before a turn."""
    return {
        "attributed": word_rows(corpus, backbone, prompter, spec),
        "unattributed": word_rows(unattributed(corpus), backbone, prompter, spec),
        "alone": alone_rows(corpus, backbone, prompter, spec),
    }


@dataclass(frozen=True, slots=True)
class Variant:
    """One row of the table.

    Attributes:
        name: What is taken away.
        recipe: How it is fitted.
        context: What the LLM reads before a turn (see `contexts`).
        pick: Which of its states are classified.
        mixed: Whether layers are mixed by learned weights instead of being laid side by side.
    """

    name: str
    recipe: Recipe
    context: str = "attributed"
    pick: Pick = lambda states: states
    mixed: bool = False


def variants(recipe: Recipe) -> list[Variant]:
    """The recipe, and each thing taken away."""
    middle = len(recipe.layers) // 2
    return [
        Variant("the recipe", recipe),
        Variant("mean of the words only", recipe, pick=lambda states: states[:, :, :1]),
        Variant("last word only", recipe, pick=lambda states: states[:, :, 1:]),
        Variant(f"layer {recipe.layers[middle]} only", recipe, pick=lambda states: states[:, middle : middle + 1]),
        Variant("a learned mix of the layers", recipe, mixed=True),
        Variant("past turns without their speakers", recipe, context="unattributed"),
        Variant("the turn alone", recipe, context="alone"),
        Variant("one member", replace(recipe, members=1)),
        Variant("no logit adjustment", replace(recipe, words=replace(recipe.words, adjust=0.0))),
    ]


class LayerMix(Standardiser):
    """One vector as wide as a layer: the layers' standardised states, weighted by a softmax over learned scores.

    Peters et al. 2018 (ELMo), equation 1, without its scale, which the linear layer behind takes over.

    Args:
        layers: How many there are in a row, one behind the other.
        width: Of each.
    """

    def __init__(self, layers: int, width: int) -> None:
        super().__init__(layers * width)
        self.scores = nn.Parameter(torch.zeros(layers))

    def forward(self, x: Float[Tensor, "b dim"]) -> Float[Tensor, "b width"]:
        """Standardise and mix."""
        layers = super().forward(x).unflatten(1, (len(self.scores), -1))
        return torch.einsum("l,blw->bw", self.scores.softmax(0), layers)


def classifier(variant: Variant, states: Float[Tensor, "b read parts d"]) -> Ensemble:
    """A fresh ensemble for what a variant picks of the states."""
    picked, recipe = variant.pick(states), variant.recipe
    layers, width = picked.shape[1], picked[0, 0].numel()
    dim = width if variant.mixed else layers * width
    ensemble = Ensemble(dim, recipe.words_hidden, recipe.members, len(MELD_LABELS), recipe.words.dropout)
    if variant.mixed:
        ensemble.standardise = LayerMix(layers, width)
    return ensemble


def evaluate(
    variant: Variant, fitting: Mapping[str, WordRows], dev: Mapping[str, WordRows], seed: int
) -> tuple[float, float]:
    """Weighted and macro F1 of one variant and seed.

    Args:
        variant: The row.
        fitting: By context, what to fit to.
        dev: By context, what to evaluate on.
        seed: Of initial weights and order.
    """
    torch.manual_seed(seed)
    train, held_out = fitting[variant.context], dev[variant.context]
    ensemble = classifier(variant, train.states)
    rows, held_out_rows = (variant.pick(split.states).flatten(1) for split in (train, held_out))
    fit_ensemble(ensemble, rows, train.labels, torch.ones(len(rows)), variant.recipe.words)
    with torch.no_grad():
        probabilities = mean_log_probs(ensemble(held_out_rows)).exp().numpy()
    result = compute_metrics(probabilities, held_out.labels.numpy(), MELD_LABELS.labels)
    return result["weighted_f1"], result["macro_f1"]
