"""An adapter of the published method on a split; one JSON on stdout.

The adapter is a folder that training wrote, which knows its data set and its LLM; or a safetensors file with weights in
the authors' own layout, for which both have to be named.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.errors import AdapterError
from adapters.mse.adapter import MseAdapter
from adapters.published import checkpoint
from adapters.published.checkpoint import MseCard
from adapters.published.data import assert_fits, load
from adapters.published.fit import evaluate_split
from adapters.published.inputs import LIVE
from adapters.published.model import load_llm
from adapters.published.sets import set_of


def _load(path: Path, dataset: str | None, backbone: str | None) -> tuple[MseAdapter, MseCard]:
    if path.is_file():
        if dataset is None or backbone is None:
            raise AdapterError(f"{path} holds weights alone: give --dataset and --backbone")
        return checkpoint.load_official(path, dataset, backbone)
    adapter, made = checkpoint.load(path)
    if dataset not in (None, made.dataset):
        raise AdapterError(f"{path} was trained for {made.dataset}, not for {dataset}")
    return adapter, made


def evaluate(
    path: Path, data: Path, split: str, dataset: str | None, backbone: str | None, dtype: str, device: str
) -> dict[str, Any]:
    """Evaluate a split.

    Args:
        path: A folder that training wrote, or a safetensors file in the authors' layout.
        data: As `adapters.published.data.load` takes it.
        split: Likewise.
        dataset: Required for a file; a folder's card has it.
        backbone: Required for a file; a folder's card has its name, but not another place where it may be.
        dtype: Number format of the LLM.
        device: Where it runs.

    Returns:
        The metrics, and what they are of.

    Raises:
        AdapterError: Something is missing or damaged, or does not go together.
    """
    adapter, made = _load(path, dataset, backbone)
    task, turns = set_of(made.dataset), load(made.dataset, data, split, live=made.source == LIVE)
    llm = load_llm(backbone or made.backbone.name, dtype, device)
    assert_fits(path, made, llm, turns)
    return {
        "dataset": made.dataset,
        "split": split,
        "source": turns.source,
        "backbone": llm.name,
        "parameters": adapter.parameter_count,
        "refused": dict(turns.refused),
        **evaluate_split(llm.beside(adapter, task.task), task, turns.turns),
    }


def main(
    adapter: Annotated[Path, typer.Argument(help="What --out was, or a .safetensors file in the authors' layout.")],
    data: Annotated[Path, typer.Option(help="As for training.")],
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "valid",
    dataset: Annotated[str | None, typer.Option(help="For a file: meld, cherma, mosei or sims-v2.")] = None,
    backbone: Annotated[str | None, typer.Option(help="For a file, or where the LLM has moved.")] = None,
    dtype: Annotated[str, typer.Option(help="Number format of the LLM: auto, float32 or bfloat16.")] = "bfloat16",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...")] = "auto",
) -> None:
    """Evaluate a trained adapter on a split and print its metrics."""
    result = evaluate(adapter, data, split, dataset, backbone, dtype, device)
    typer.echo(json.dumps(result, indent=2))
