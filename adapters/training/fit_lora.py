"""Training low-rank adapters inside the frozen LLM, and the words' classifier on top of them, on several corpora.

Dialogues are packed (see `adapters.training.packs`), and the layers below the first adapted one run once for all
epochs. The classifier is first fitted to the LLM as it is; soft targets come from that, too (see
`adapters.training.distil`).

Each corpus has its own share of each emotion, which says more about where it was collected than about people: while
both are trained, each corpus's log prior is added to the scores (see `FitSpec.adjust`).

Letters: ``b`` turns, ``classes``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Dialogues
from adapters.errors import AdapterError
from adapters.llm.backbone import Backbone, LayerSpan
from adapters.llm.lora import Lora
from adapters.llm.prompt import Prompter
from adapters.readout.ensemble import Ensemble, mean_log_probs
from adapters.training.distil import soft_targets
from adapters.training.feature_cache import cached_tensors
from adapters.training.fit import LearningCurves, fit_ensemble, log_prior, one_cycle
from adapters.training.metrics import weighted_f1
from adapters.training.packs import (
    PACK,
    Packer,
    TrainingSet,
    Unit,
    batches,
    read_units,
    some_of,
    training_set,
    turn_states,
)
from adapters.training.progress import progress
from adapters.training.recipe import FitSpec, LoraSpec, Recipe
from adapters.training.sources import Sources

_CURVES = "words, the LLM as it is", "words, inside the LLM"


def offsets(learned: TrainingSet, classes: int, adjust: float) -> Float[Tensor, "corpora classes"]:
    """What is added to the scores of each corpus's turns in training."""
    each = [learned.corpora == corpus for corpus in range(int(learned.corpora.max()) + 1)]
    return torch.stack([adjust * log_prior(learned.labels[rows], learned.weights[rows], classes) for rows in each])


def draw_units(learned: TrainingSet) -> list[int]:
    """Units of an epoch in random order; of a dialogue of which there is a copy, one by their weights."""
    heard = learned.copies > 0
    chance = {
        int(number): float(weight)
        for number, weight in zip(learned.dialogues[heard], learned.weights[heard], strict=True)
    }
    drawn = {number: bool(torch.rand(()) < weight / (1.0 + weight)) for number, weight in chance.items()}

    def shown(unit: Unit) -> bool:
        row = unit.rows[0]
        number = int(learned.dialogues[row])
        return number not in drawn or drawn[number] == bool(learned.copies[row])

    return [index for index in torch.randperm(len(learned.units)).tolist() if shown(learned.units[index])]


def fit_lora(
    lora: Lora,
    classifier: Ensemble,
    upper: LayerSpan,
    packer: Packer,
    learned: TrainingSet,
    targets: Float[Tensor, "b classes"],
    spec: LoraSpec,
    words: FitSpec,
    score: Callable[[], float] | None = None,
) -> LearningCurves:
    """Train both.

    Args:
        lora: Fresh, and put on the LLM.
        classifier: Fitted to the LLM as it is.
        upper: The adapted layers.
        packer: The text.
        learned: Its labelled turns.
        targets: Probabilities to learn.
        spec: How.
        words: How the classifier was fitted before.
        score: On held-out turns, after each epoch.

    Returns:
        How it went.
    """
    classes, members = targets.shape[1], len(classifier.outer)
    added = offsets(learned, classes, words.adjust)
    weights = torch.where(learned.copies > 0, 1.0, learned.weights)  # a copy is drawn by its weight
    groups: list[dict[str, Any]] = [
        {"params": [*lora.parameters()], "lr": spec.learning_rate, "weight_decay": 0.0},
        {"params": [*classifier.parameters()], "lr": spec.classifier_rate, "weight_decay": spec.weight_decay},
    ]
    optimiser = torch.optim.AdamW(groups)

    def drawn() -> list[list[int]]:
        return list(batches(packer.units, spec.tokens, draw_units(learned)))

    plans = [drawn() for _ in range(spec.epochs)]
    steps = sum(map(len, plans))
    schedule = one_cycle(optimiser, [group["lr"] for group in groups], steps)
    fitted = [*lora.parameters(), *classifier.parameters()]
    losses: list[float] = []
    scores: list[float] = []
    for epoch, plan in enumerate(plans, 1):
        lora.train()
        classifier.train()
        total, seen = 0.0, 0
        for chosen in progress(plan, f"training inside the LLM, {epoch}/{spec.epochs}"):
            turns = sum(len(packer.units[index].rows) for index in chosen)
            for some in batches(packer.units, packer.most, chosen):
                pack = packer.pack(some)
                guesses = classifier(turn_states(upper, pack)) + added[learned.corpora[pack.rows]][:, None]
                wanted = targets[pack.rows].repeat_interleave(members, dim=0)
                each = cross_entropy(
                    guesses.flatten(0, 1), wanted, reduction="none", label_smoothing=words.label_smoothing
                )
                loss = (each * weights[pack.rows].repeat_interleave(members)).sum() / (members * turns)
                loss.backward()
                total += loss.item() * turns
            nn.utils.clip_grad_norm_(fitted, 1.0)
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()
            seen += turns
        losses.append(total / seen)
        lora.train(False)
        classifier.train(False)
        if score is not None:
            scores.append(score())
    return LearningCurves(tuple(losses), tuple(scores))


def read_corpora(
    recipe: Recipe, sources: Sources, data: Path, heard: Path, prompter: Prompter, seed: int, dialogues: int = 0
) -> tuple[TrainingSet, TrainingSet]:
    """What a recipe learns words from, and the turns on which it is scored.

    Args:
        recipe: Says how much each counts.
        sources: The corpora.
        data: Folder with one folder per data set.
        heard: Likewise of copies with words as a recogniser transcribes them; read where the recipe gives those weight.
        prompter: Writes dialogues down.
        seed: Of the draw of further dialogues.
        dialogues: Take so many of each corpus only; 0 takes all.

    Raises:
        AdapterError: A data set is missing or damaged, or a copy is of other dialogues.
    """
    assert recipe.lora is not None

    def read(corpus: Corpus[Dialogues], folder: Path, most: int | None = None) -> tuple[Dialogues, list[int]]:
        found = corpus.read(folder, next(iter(corpus.splits)))
        found = replace(found, dialogues=found.dialogues[: dialogues or None])
        labels = [sources.labels.labels.index(name) for name in corpus.names()]
        return found if most is None else some_of(found, most, seed), labels

    written, labels = read(sources.dialogues, data)
    learned, count = training_set(written, labels, prompter), len(written.dialogues)
    if recipe.asr_words:
        copy, _ = read(sources.dialogues, heard)
        if copy.labels != written.labels or copy.dialogue_ids != written.dialogue_ids:
            raise AdapterError(
                f"{heard / sources.dialogues.name} is of other dialogues than {sources.dialogues.name}: "
                "make it anew from those"
            )
        learned += training_set(copy, labels, prompter, weight=recipe.asr_words, copy=1)
    for number, corpus in enumerate(sources.also, 1):
        some, labels = read(corpus, data, recipe.lora.most_per_label)
        learned += training_set(some, labels, prompter, number, recipe.lora.sharing, count)
        count += len(some.dialogues)
    dev = sources.dialogues.read(data, list(sources.dialogues.splits)[1])
    return learned, training_set(dev, range(len(sources.labels)), prompter)


def learn_words(
    recipe: Recipe,
    lora: Lora,
    classifier: Ensemble,
    backbone: Backbone,
    prompter: Prompter,
    learned: TrainingSet,
    dev: TrainingSet,
    seed: int,
) -> dict[str, LearningCurves]:
    """Fit the words' classifier to the LLM as it is, then train both inside; from the cache, if that was done before.

    Args:
        recipe: Its ``lora`` and ``words`` say how.
        lora: Fresh; left taken off, and as a checkpoint has it.
        classifier: Fresh.
        backbone: The LLM.
        prompter: Writes dialogues down for it.
        learned: What is learned.
        dev: What is scored after each epoch.
        seed: Of the draws.

    Returns:
        How either went.
    """
    modules: dict[str, nn.Module] = {"lora": lora, "words": classifier}

    def make() -> dict[str, Tensor]:
        torch.manual_seed(seed)
        before, inside = _learn(recipe, lora, classifier, backbone, prompter, learned, dev)
        kept: dict[str, Tensor] = {}
        for name, curve in zip(_CURVES, (before, inside), strict=True):
            kept |= {f"{name}.losses": torch.tensor(curve.losses), f"{name}.scores": torch.tensor(curve.scores)}
        for name, module in modules.items():
            kept |= {f"{name}.{key}": value.half() for key, value in module.state_dict().items()}
        return kept

    settings = recipe.lora, recipe.words, recipe.words_hidden, recipe.members, recipe.soft_targets, recipe.layers
    parts = ("labels", "weights", "corpora", "dialogues", "copies")
    texts = [getattr(one, part).tolist() for one in (learned, dev) for part in parts]
    texts += [unit.ids.tolist() for one in (learned, dev) for unit in one.units]
    found = cached_tensors(
        "inside", (backbone.weights_digest, settings, prompter.intro_ids().tolist(), seed, texts), make
    )
    for name, module in modules.items():
        module.load_state_dict({key: found[f"{name}.{key}"].float() for key in module.state_dict()})
        module.train(False)
    return {
        name: LearningCurves(*(tuple(found[f"{name}.{part}"].tolist()) for part in ("losses", "scores")))
        for name in _CURVES
    }


def _learn(
    recipe: Recipe,
    lora: Lora,
    classifier: Ensemble,
    backbone: Backbone,
    prompter: Prompter,
    learned: TrainingSet,
    dev: TrainingSet,
) -> tuple[LearningCurves, LearningCurves]:
    spec = recipe.lora
    assert spec is not None
    intro = prompter.intro_ids()
    lower, upper = backbone.span(0, spec.first - 1), backbone.span(spec.first - 1)

    @torch.no_grad()
    def below(ids: Tensor, positions: Tensor, seen: Tensor) -> Tensor:
        return lower(backbone.embed(ids), positions, seen)[0]

    packs, held = (Packer(one.units, intro, below, PACK) for one in (learned, dev))
    inputs = read_units(upper, packs, len(learned.labels))
    sizes = inputs.shape[1], recipe.words_hidden, recipe.members, classifier.bias.shape[1]

    def fresh() -> Ensemble:
        return Ensemble(*sizes, recipe.words.dropout)

    def score() -> float:
        with torch.no_grad():
            guesses = mean_log_probs(classifier(read_units(upper, held, len(dev.labels)))).argmax(1)
        return weighted_f1(guesses.numpy(), dev.labels.numpy())

    given = inputs, learned.labels, learned.weights
    targets = soft_targets(fresh, *given, learned.dialogues, recipe.words, recipe.soft_targets)
    before = fit_ensemble(classifier, *given, recipe.words, None, targets)
    before = LearningCurves(before.losses, (score(),))
    del inputs, given
    if targets is None:
        targets = one_hot(learned.labels, classifier.bias.shape[1]).float()
    with backbone.adapted(lora):
        inside = fit_lora(lora, classifier, upper, packs, learned, targets, spec, recipe.words, score)
    return before, inside
