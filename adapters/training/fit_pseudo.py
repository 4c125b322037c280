"""Training pseudo tokens through the frozen LLM, on dialogues that were read once.

The keys and values of every dialogue are kept in memory (13 KB a token for SmolLM2-135M's lower 17 layers in bfloat16:
2.8 GB for MELD's training split), so that a step runs suffixes only, those of all turns of a dialogue at once. Voices
and faces are simulated (see `adapters.training.simulate`) and drawn anew in each epoch.

Letters: ``turns`` of the corpus, ``read`` layers, ``d`` the LLM's width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from adapters.datasets.records import Dialogues
from adapters.llm.backbone import Backbone
from adapters.llm.prefix import Prefix
from adapters.llm.prompt import Prompter
from adapters.readout.pseudo import AnswerClassifier, Nonverbal, PseudoTokens, query
from adapters.training.feature_cache import chunks
from adapters.training.fit import LearningCurves, log_prior, one_cycle
from adapters.training.progress import progress
from adapters.training.recipe import PseudoSpec


@dataclass(frozen=True, slots=True, eq=False)
class CachedChunk:
    """A stretch of a dialogue that the LLM has read.

    Attributes:
        prefix: Its keys and values.
        ends: Where each labelled turn ends.
        words: Mean embedding of each turn's own words.
        rows: Which turns of the corpus those are.
    """

    prefix: Prefix
    ends: Int[Tensor, " b"]
    words: Float[Tensor, "b d"]
    rows: Int[Tensor, " b"]


@torch.no_grad()
def read_dialogues(corpus: Dialogues, backbone: Backbone, prompter: Prompter) -> list[CachedChunk]:
    """Read every dialogue once; only labelled turns with words count in `CachedChunk.rows`."""
    found: list[CachedChunk] = []
    row = 0
    for dialogue in progress(corpus.dialogues, "reading dialogues"):
        labelled = iter(line.label is not None for line in dialogue)
        for chunk in chunks([line.utterance for line in dialogue], prompter):
            spans = [span for span in chunk.spans if next(labelled)]
            if not spans:
                continue
            prefix, _ = backbone.prefix(chunk.ids)
            embedded = backbone.embed(chunk.ids)
            words = torch.stack([embedded[start : max(end, start + 1)].mean(0) for start, end in spans])
            ends = torch.tensor([end for _, end in spans])
            found.append(CachedChunk(prefix, ends, words, torch.arange(row, row + len(spans))))
            row += len(spans)
    return found


def _query(
    pseudo: PseudoTokens, backbone: Backbone, chunk: CachedChunk, nonverbal: Nonverbal
) -> Float[Tensor, "b read d"]:
    return query(pseudo, backbone, chunk.prefix, chunk.ends, chunk.words, nonverbal.rows(chunk.rows))


@torch.no_grad()
def query_corpus(
    pseudo: PseudoTokens, backbone: Backbone, corpus: Sequence[CachedChunk], nonverbal: Nonverbal
) -> Float[Tensor, "turns read d"]:
    """The LLM's answer to every turn's suffix."""
    return torch.cat([_query(pseudo, backbone, chunk, nonverbal) for chunk in progress(corpus, "running suffixes")])


def fit_pseudo(
    pseudo: PseudoTokens,
    backbone: Backbone,
    corpus: Sequence[CachedChunk],
    labels: Int[Tensor, " turns"],
    classes: int,
    draw: Callable[[int], Nonverbal],
    spec: PseudoSpec,
) -> LearningCurves:
    """Train pseudo tokens and question by a linear classifier of the answers, which is thrown away.

    Args:
        pseudo: Fresh, initialised from words and voices.
        backbone: The frozen LLM.
        corpus: The dialogues that it has read.
        labels: Class ids.
        classes: How many there are.
        draw: Voices and faces for an epoch.
        spec: How.

    Returns:
        The mean loss of each epoch.
    """
    classifier = AnswerClassifier(len(backbone.read) * backbone.width, classes, spec.dropout)
    offset = spec.adjust * log_prior(labels, torch.ones(len(labels)), classes)
    weights = [*pseudo.parameters(), *classifier.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=spec.learning_rate, weight_decay=spec.weight_decay)
    steps = spec.epochs * -(-len(corpus) // spec.batch)
    schedule = one_cycle(optimiser, spec.learning_rate, steps)
    losses: list[float] = []
    pseudo.train()
    for epoch in range(spec.epochs):
        nonverbal = draw(epoch)
        total = 0.0
        for batch in progress(list(_batches(corpus, spec.batch)), f"training pseudo tokens, {epoch + 1}/{spec.epochs}"):
            turns = sum(len(chunk.rows) for chunk in batch)
            for chunk in batch:  # one dialogue at a time through the LLM, their gradients added up
                scores = classifier(_query(pseudo, backbone, chunk, nonverbal)) + offset
                loss = cross_entropy(scores, labels[chunk.rows], label_smoothing=spec.label_smoothing, reduction="sum")
                (loss / turns).backward()
                total += loss.item()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()
        losses.append(total / len(labels))
    pseudo.train(False)
    return LearningCurves(tuple(losses))


def _batches(corpus: Sequence[CachedChunk], size: int) -> Iterator[list[CachedChunk]]:
    for chosen in torch.randperm(len(corpus)).split(size):
        yield [corpus[index] for index in chosen.tolist()]
