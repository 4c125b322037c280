"""What the frozen LLM costs on this machine: ``python -m tests.adapters.backbone_speed``.

Number formats, attention kernels and threads, at the lengths that a live dialogue has: so many new tokens behind so
many that were read. The kinds take turns, so that what else the machine does falls on all of them; each figure is a
median, ratios are to the first kind, float32 with the plain kernel. ``--cpu`` counts processor time instead of waiting
time, for a machine that is not idle. Before it, by how much the shipped checkpoint's probabilities differ from float32.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from statistics import median

import torch
from torch import nn
from transformers import AutoModel

from adapters import recogniser
from adapters.contract import TurnInput, Utterance
from adapters.llm.backbone import DTYPES, Backbone
from adapters.training.cache import asset_folder

LENGTHS = ((25, 0), (25, 120), (25, 300), (60, 200))
"""(new tokens, tokens that were read before)"""

SAID = (
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
    folder, read = asset_folder("smollm2-135m-instruct"), recogniser.load(device="cpu").card.shape.layers
    backbone = Backbone.load(folder, read, device="cpu", dtype="float32" if number == "int8" else number)
    model: AutoModel = backbone._model
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
    ids, said = torch.arange(100, 100 + new), torch.arange(200, 200 + before)
    prefixes = [backbone.prefix(said)[0] if before else None for backbone in backbones]
    times: list[list[float]] = [[] for _ in backbones]
    for _ in range(repeats + 2):
        for backbone, prefix, took in zip(backbones, prefixes, times, strict=True):
            begun = clock()
            backbone.prefix(ids, prefix)
            took.append((clock() - begun) * 1000)
    return [median(took[2:]) for took in times]


def probabilities(backbone: Backbone) -> list[tuple[float, ...]]:
    """What the shipped checkpoint makes of a short dialogue on this backbone."""
    judge = recogniser.load(device="cpu", dtype="float32")
    judge._backbone = backbone
    utterances = [Utterance(f"Speaker {number % 2 + 1}", text) for number, text in enumerate(SAID)]
    reading, rows = judge.opening, []
    for number, utterance in enumerate(utterances):
        scores, reading = judge.follow(TurnInput(utterance, tuple(utterances[:number])), reading)
        rows.append(scores.probabilities)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--kinds", nargs="+", default=[f"{n} {a}" for n in (*DTYPES, "int8") for a in ("eager", "sdpa")]
    )
    asked = parser.parse_args(arguments)
    backbones = {kind: load(kind) for kind in asked.kinds}
    exact = torch.tensor(probabilities(backbones[asked.kinds[0]]))
    for kind, backbone in backbones.items():
        differ = (torch.tensor(probabilities(backbone)) - exact).abs().max()
        print(f"{kind:16} probabilities differ from {asked.kinds[0]} by {differ:.4f} at most", flush=True)
    for threads in asked.threads:
        torch.set_num_threads(threads)
        for new, before in LENGTHS:
            clock = time.process_time if asked.cpu else time.perf_counter
            rows = timed(list(backbones.values()), new, before, asked.repeats, clock)
            cells = (f"{kind} {ms:.0f} ms ({ms / rows[0]:.2f})" for kind, ms in zip(backbones, rows, strict=True))
            print(f"{threads} threads, {new} new behind {before}: {', '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
