"""What the frozen LLM costs on this machine.

Number formats, attention kernels and threads, at the lengths that a live dialogue has: so many new tokens behind so
many that were read. The kinds take turns, so that other load on the machine falls on all of them; each number is a
median, ratios are to the first kind, float32 with the plain kernel. ``--cpu`` counts processor time instead of waiting
time, for a machine that is not idle. Before it, by how much the shipped checkpoint's probabilities differ from float32.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from statistics import median
from typing import Annotated, Any

import torch
import typer
from torch import nn

from adapters import recogniser
from adapters.assets import BACKBONE, asset_folder
from adapters.contract import TurnInput, Utterance
from adapters.llm.backbone import DTYPES, Backbone

LENGTHS = ((25, 0), (25, 120), (25, 300), (60, 200))
"""(new tokens, tokens that were read before)"""

LINES = (
    "So, what did they say about the job?",
    "They gave it to my brother.",
    "No! That's so unfair. I can't believe it.",
    "Well, I have a meeting at four.",
    "Oh, I'm so happy for you!",
    "Leave me alone, you idiot!",
)


def load(kind: str) -> Backbone:
    """The backbone of the shipped checkpoint, named by number format and kernel: ``int8 sdpa``."""
    number, attention = kind.split()
    folder, read = asset_folder(BACKBONE), recogniser.load(device="cpu").card.shape.layers
    backbone = Backbone.load(folder, read, device="cpu", dtype="float32" if number == "int8" else number)
    model: Any = backbone._model
    model.set_attn_implementation(attention)
    if number == "int8":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated in PyTorch in favour of torchao, another dependency
            backbone._model = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
    return backbone


def timed(
    backbones: Sequence[Backbone], new: int, before: int, repeats: int, clock: Callable[[], float]
) -> list[float]:
    """Each backbone's median milliseconds for so many new tokens behind so many others; the first two do not count."""
    ids, read = torch.arange(100, 100 + new), torch.arange(200, 200 + before)
    prefixes = [backbone.prefix(read)[0] if before else None for backbone in backbones]
    times: list[list[float]] = [[] for _ in backbones]
    for _ in range(repeats + 2):
        for backbone, prefix, took in zip(backbones, prefixes, times, strict=True):
            begun = clock()
            backbone.prefix(ids, prefix)
            took.append((clock() - begun) * 1000)
    return [median(took[2:]) for took in times]


def probabilities(backbone: Backbone) -> list[tuple[float, ...]]:
    """The shipped checkpoint's probabilities for a short dialogue on this backbone."""
    model = recogniser.load(device="cpu", dtype="float32")
    model._backbone = backbone
    utterances = [Utterance(f"Speaker {number % 2 + 1}", text) for number, text in enumerate(LINES)]
    state, rows = model.start(), []
    for number, utterance in enumerate(utterances):
        scores, state = model.follow(TurnInput(utterance, tuple(utterances[:number])), state)
        rows.append(scores.probabilities)
    return rows


def main(
    repeats: Annotated[int, typer.Option(help="Runs of each kind.", min=1)] = 15,
    cpu: Annotated[bool, typer.Option("--cpu", help="Count processor time.")] = False,
    threads: Annotated[list[int] | None, typer.Option(help="Threads; may be given several times: 1, then 2.")] = None,
    kinds: Annotated[list[str] | None, typer.Option(help="Number format and kernel, such as 'int8 sdpa'.")] = None,
) -> None:
    """Print the table."""
    names = kinds or [f"{number} {attention}" for number in (*DTYPES, "int8") for attention in ("eager", "sdpa")]
    backbones = {name: load(name) for name in names}
    exact = torch.tensor(probabilities(backbones[names[0]]))
    for name, backbone in backbones.items():
        differ = (torch.tensor(probabilities(backbone)) - exact).abs().max()
        typer.echo(f"{name:16} probabilities differ from {names[0]} by {differ:.4f} at most")
    for count in threads or [1, 2]:
        torch.set_num_threads(count)
        for new, before in LENGTHS:
            rows = timed(
                list(backbones.values()), new, before, repeats, time.process_time if cpu else time.perf_counter
            )
            cells = (f"{name} {ms:.0f} ms ({ms / rows[0]:.2f})" for name, ms in zip(backbones, rows, strict=True))
            typer.echo(f"{count} threads, {new} new behind {before}: {', '.join(cells)}")
