"""Dialogues packed: several are read by the LLM in one pass, each behind the same introduction and blind to the others.

Letters: ``time`` tokens of a pack, ``d`` the LLM's width, ``read`` layers, ``b`` turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor

from adapters.datasets.records import Dialogues
from adapters.llm.backbone import Backbone, LayerSpan
from adapters.llm.prompt import Prompter
from adapters.readout.ensemble import pool
from adapters.training.feature_cache import chunks
from adapters.training.progress import progress

PACK = 384  # tokens that are read in one pass; attention to all of more costs more than it saves


def some_of(found: Dialogues, most_per_label: int, seed: int = 0) -> Dialogues:
    """At most so many dialogues of one label, that of the last labelled turn, in random order; the same for a seed."""
    taken: Counter[int] = Counter()
    kept = []
    order = torch.randperm(len(found.dialogues), generator=torch.Generator().manual_seed(seed))
    for index in order.tolist():
        dialogue = found.dialogues[index]
        labels = [line.label for line in dialogue if line.label is not None]
        if labels and taken[labels[-1]] < most_per_label:
            taken[labels[-1]] += 1
            kept.append(dialogue)
    return Dialogues(tuple(kept))


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """A stretch of a dialogue behind the introduction.

    Attributes:
        ids: Its tokens.
        spans: Where each labelled turn's words are among them.
        rows: Which row of the training set each of those is.
    """

    ids: Int64[Tensor, " time"]
    spans: tuple[tuple[int, int], ...]
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """Labelled turns of several corpora.

    Attributes:
        units: Their text.
        labels: Class id of each turn.
        weights: Weight of each.
        corpora: Which corpus each is of, counted from 0.
        dialogues: Which dialogue each is of; a copy of a dialogue has the same number.
        copies: 1 where its dialogue is such a copy, else 0.
    """

    units: tuple[Unit, ...]
    labels: Int[Tensor, " b"]
    weights: Float[Tensor, " b"]
    corpora: Int[Tensor, " b"]
    dialogues: Int[Tensor, " b"]
    copies: Int[Tensor, " b"]

    def __add__(self, other: TrainingSet) -> TrainingSet:
        """Both, one behind the other."""
        moved = [replace(unit, rows=tuple(row + len(self.labels) for row in unit.rows)) for unit in other.units]
        names = ("labels", "weights", "corpora", "dialogues", "copies")
        both = (torch.cat([getattr(self, name), getattr(other, name)]) for name in names)
        return TrainingSet((*self.units, *moved), *both)


def training_set(
    found: Dialogues,
    labels: Sequence[int],
    prompter: Prompter,
    corpus: int = 0,
    weight: float = 1.0,
    first_dialogue: int = 0,
    copy: int = 0,
) -> TrainingSet:
    """The turns of a corpus.

    Args:
        found: Its dialogues.
        labels: For each of its own class ids, the one that is learned.
        prompter: Writes them down.
        corpus: Its number.
        weight: Of each of its turns.
        first_dialogue: Number of its first dialogue.
        copy: 1 where it is a copy of an earlier corpus's dialogues.
    """
    units: list[Unit] = []
    known: list[int] = []
    numbers: list[int] = []
    intro = len(prompter.intro_ids())
    for number, dialogue in enumerate(found.dialogues, first_dialogue):
        lines = iter(dialogue)
        for chunk in chunks([line.utterance for line in dialogue], prompter):
            own = [(span, next(lines).label) for span in chunk.spans]
            labelled = [((a - intro, b - intro), label) for (a, b), label in own if label is not None and b > a]
            if labelled:
                rows = tuple(range(len(known), len(known) + len(labelled)))
                units.append(Unit(chunk.ids[intro:], tuple(span for span, _ in labelled), rows))
                known += [labels[label] for _, label in labelled]
                numbers += [number] * len(labelled)
    count = len(known)
    return TrainingSet(
        tuple(units),
        torch.tensor(known),
        torch.full((count,), weight),
        torch.full((count,), corpus),
        torch.tensor(numbers),
        torch.full((count,), copy),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """Units that are read in one pass.

    Attributes:
        states: What the layers below made of introduction and units.
        visible: Which positions each position sees.
        positions: The number of each, counted from the dialogue's beginning.
        spans: Where the labelled turns' words are.
        rows: Which rows of the training set those are.
    """

    states: Float[Tensor, "time d"]
    visible: Bool[Tensor, "time time"]
    positions: Int64[Tensor, " time"]
    spans: tuple[tuple[int, int], ...]
    rows: Int64[Tensor, " b"]


def visible(intro: int, lengths: Sequence[int]) -> Bool[Tensor, "time time"]:
    """Each position sees the introduction and its own unit, up to itself."""
    owner = torch.cat([torch.full((intro,), -1), torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))])
    causal = torch.ones(len(owner), len(owner), dtype=torch.bool).tril()
    return causal & ((owner[None] == owner[:, None]) | (owner[None] == -1))


def batches(units: Sequence[Unit], most: int, order: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of units, in order, as many at once as have so many tokens together; at least one."""
    chosen: list[int] = []
    tokens = 0
    for index in order:
        length = len(units[index].ids)
        if chosen and tokens + length > most:
            yield chosen
            chosen, tokens = [], 0
        chosen.append(index)
        tokens += length
    if chosen:
        yield chosen


class Packer:
    """Packs units, whose lower states are computed once.

    Args:
        units: All of them.
        intro: The introduction's tokens.
        below: Runs the layers below on tokens that lie at some positions and see some others.
        most: Tokens of a pack, the introduction not counted.
    """

    def __init__(
        self,
        units: Sequence[Unit],
        intro: Int64[Tensor, " time"],
        below: Callable[[Tensor, Tensor, Tensor], Tensor],
        most: int,
    ) -> None:
        self.units, self.most = units, most
        self._intro = len(intro)
        self._before: Tensor = torch.empty(0)
        self._states: list[Tensor] = [torch.empty(0)] * len(units)
        for chosen in progress(list(batches(units, most, range(len(units)))), "reading"):
            lengths = [len(units[index].ids) for index in chosen]
            ids = torch.cat([intro, *(units[index].ids for index in chosen)])
            found = below(ids, self._positions(lengths), visible(self._intro, lengths)).bfloat16()
            self._before, *states = found.split([self._intro, *lengths])
            for index, state in zip(chosen, states, strict=True):
                self._states[index] = state.clone()
        self._before = self._before.clone()

    def _positions(self, lengths: Sequence[int]) -> Int64[Tensor, " time"]:
        return torch.cat(
            [torch.arange(self._intro), *(torch.arange(self._intro, self._intro + length) for length in lengths)]
        )

    def pack(self, chosen: Sequence[int]) -> Pack:
        """Some of the units."""
        lengths = [len(self.units[index].ids) for index in chosen]
        starts = torch.tensor([self._intro, *lengths]).cumsum(0)[:-1].tolist()
        spans = [
            (start + a, start + b)
            for start, index in zip(starts, chosen, strict=True)
            for a, b in self.units[index].spans
        ]
        return Pack(
            torch.cat([self._before, *(self._states[index] for index in chosen)]),
            visible(self._intro, lengths),
            self._positions(lengths),
            tuple(spans),
            torch.tensor([row for index in chosen for row in self.units[index].rows]),
        )


def turn_states(upper: LayerSpan, pack: Pack) -> Float[Tensor, "b dim"]:
    """What the words' classifier reads of each labelled turn of a pack."""
    states = upper(pack.states, pack.positions, pack.visible)
    return torch.stack([pool(states, start, end) for start, end in pack.spans]).flatten(1)


@torch.no_grad()
def read_units(upper: LayerSpan, packer: Packer, rows: int) -> Float[Tensor, "b dim"]:
    """What the words' classifier reads of each labelled turn of all units."""
    found: Tensor | None = None
    order = range(len(packer.units))
    for chosen in progress(list(batches(packer.units, packer.most, order)), "reading further"):
        pack = packer.pack(chosen)
        states = turn_states(upper, pack)
        found = torch.zeros(rows, states.shape[1]) if found is None else found
        found[pack.rows] = states
    assert found is not None
    return found


def read_turns(learned: TrainingSet, backbone: Backbone, prompter: Prompter) -> Float[Tensor, "b dim"]:
    """What the words' classifier reads of each labelled turn, packed; with low-rank adapters if they are put on."""
    packs = Packer(learned.units, prompter.intro_ids(), lambda ids, _at, _seen: backbone.embed(ids), PACK)
    return read_units(backbone.span(0), packs, len(learned.labels))
