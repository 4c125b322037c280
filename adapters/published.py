"""``python -m adapters.published``: the published method trained and judged on MELD, for comparison with ours.

As the authors train it: pseudo tokens before the words, the question behind them, the LLM run whole, forward and
backward, the answer's token as the loss; AdamW with epsilon 1e-4, a cosine schedule with a tenth of it as warm-up, the
best epoch on dev is kept. MELD's tables bring no voices and faces, so both are one frame of zeros. On two cores an
epoch of all of MELD takes about an hour: ``--dialogues`` trains on the first few. One JSON on stdout.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from jaxtyping import Float
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, get_cosine_schedule_with_warmup

from adapters.backbone import choose_device, choose_dtype
from adapters.cache import backbone_source
from adapters.contract import MELD_LABELS
from adapters.datasets import meld
from adapters.datasets.records import Dialogues, Line
from adapters.errors import AdapterError
from adapters.mse.adapter import MseAdapter, MseShape
from adapters.mse.encoders import SequenceShape
from adapters.mse.llm import MseBatch, MseLlm
from adapters.mse.tasks import TASKS
from adapters.progress import progress
from adapters.prompt import anonymous
from adapters.scores import figures

PAST = 5  # turns before the judged one
FRAMES = 64  # width of voice and face frames

Turn = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Fit:
    """How it is trained; the defaults are the authors' for Qwen-1.8B on MELD, but for the number of epochs."""

    epochs: int
    batch: int = 16
    learning_rate: float = 5e-4


def text_of(dialogue: tuple[Line, ...], turn: int) -> str:
    """A turn with those before it, as one text."""
    said = anonymous([line.utterance for line in dialogue[: turn + 1]])
    return "\n".join(f"{one.speaker}: {one.text}" for one in said[-PAST - 1 :])


def turns_of(corpus: Dialogues) -> list[Turn]:
    """Every labelled turn's text and class id."""
    return [
        (text_of(dialogue, turn), line.label)
        for dialogue in corpus.dialogues
        for turn, line in enumerate(dialogue)
        if line.label is not None
    ]


def published(backbone: str, dtype: str, seed: int) -> MseLlm:
    """The method on a backbone that is at hand, its adapter fresh."""
    source, device = backbone_source(backbone), choose_device("auto")
    llm: Any = AutoModelForCausalLM.from_pretrained(source, dtype=choose_dtype(dtype, device), use_safetensors=True)
    torch.manual_seed(seed)
    frames = SequenceShape(FRAMES, 32)
    adapter = MseAdapter(MseShape(llm.config.hidden_size, 2, frames, frames))
    return MseLlm(llm.to(device), AutoTokenizer.from_pretrained(source), adapter, TASKS["meld"])


def batches(turns: Sequence[Turn], size: int) -> Iterator[tuple[MseBatch, list[int]]]:
    """Some turns at a time, without voice and face."""
    for start in range(0, len(turns), size):
        some = turns[start : start + size]
        nothing = torch.zeros(len(some), 1, FRAMES), torch.ones(len(some), dtype=torch.long)
        yield MseBatch([text for text, _ in some], nothing, nothing), [label for _, label in some]


def epoch_of(model: MseLlm, turns: Sequence[Turn], optimiser: torch.optim.Optimizer, batch: int) -> Iterator[float]:
    """Train once through the turns; gives each step's loss."""
    for some, labels in batches(turns, batch):
        loss = model.loss(some, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield float(loss.detach())


def judge(model: MseLlm, turns: Sequence[Turn]) -> Float[Tensor, "turns answers"]:
    """Probabilities of the classes; turns of like length go together."""
    order = sorted(range(len(turns)), key=lambda index: len(turns[index][0]))
    rows = torch.empty(len(turns), len(MELD_LABELS))
    done = 0
    for some, labels in progress(list(batches([turns[index] for index in order], 8)), "judging"):
        rows[order[done : done + len(labels)]] = model.scores(some).exp().cpu()
        done += len(labels)
    return rows


def fit(model: MseLlm, fitting: Sequence[Turn], dev: Sequence[Turn], how: Fit, seed: int) -> dict[str, Any]:
    """Train; the adapter ends as it was in its best epoch on dev.

    Returns:
        The best epoch's figures on dev, and the minutes that an epoch took.
    """
    optimiser = torch.optim.AdamW(model.adapter.parameters(), lr=how.learning_rate, eps=1e-4)
    steps = how.epochs * -(-len(fitting) // how.batch)
    schedule = get_cosine_schedule_with_warmup(optimiser, steps // 10, steps)
    random = torch.Generator().manual_seed(seed)
    labels = torch.tensor([label for _, label in dev]).numpy()
    best: dict[str, Any] = {}
    kept = model.adapter.state_dict()
    minutes = []
    for epoch in range(how.epochs):
        order = torch.randperm(len(fitting), generator=random).tolist()
        begun = time.monotonic()
        some = epoch_of(model, [fitting[index] for index in order], optimiser, how.batch)
        for _ in progress(some, f"training, {epoch + 1}/{how.epochs}", total=steps // how.epochs):
            schedule.step()
        minutes.append((time.monotonic() - begun) / 60)
        result = figures(judge(model, dev).double().numpy(), labels, MELD_LABELS.labels)
        if not best or result["weighted_f1"] > best["weighted_f1"]:
            best = {**result, "epoch": epoch + 1}
            kept = {name: value.clone() for name, value in model.adapter.state_dict().items()}
    model.adapter.load_state_dict(kept)
    return {**best, "minutes_per_epoch": sum(minutes) / len(minutes)}


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    backbone: Annotated[str, typer.Option(help="A pulled asset, a short name, a folder or a hub name.")] = (
        "smollm2-135m-instruct"
    ),
    dtype: Annotated[str, typer.Option(help="Number format of the LLM: auto, float32 or bfloat16.")] = "bfloat16",
    dialogues: Annotated[int, typer.Option(help="Train on so many only; 0 takes all.", min=0)] = 0,
    epochs: Annotated[int, typer.Option(help="How often.", min=1)] = 3,
    seed: Annotated[int, typer.Option(help="Of initial weights and order.")] = 0,
) -> None:
    """Train it and print its figures."""
    try:
        fitting, dev = meld.load(data / "meld", "train"), meld.load(data / "meld", "dev")
        some = turns_of(Dialogues(fitting.dialogues[: dialogues or None]))
        model = published(backbone, dtype, seed)
    except AdapterError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    result = fit(model, some, turns_of(dev), Fit(epochs), seed)
    typer.echo(json.dumps({"turns": len(some), "seed": seed, **result}, indent=2))


if __name__ == "__main__":
    typer.run(main)
