"""The published method, trained and evaluated on one of the paper's data sets.

Settings are the authors', for Qwen-1.8B but for the number of epochs, or for the LLM that ``--preset`` names; flags
win. MELD's tables bring words alone; voices and faces come with the authors' processed files, or are simulated with the
features that the tracker has live (``--live``), which makes an adapter for live use. On two cores an epoch of
all of MELD takes an hour, evaluating dev after it some minutes: ``--dialogues`` and ``--dev-dialogues`` take the first
few of the tables. One JSON on stdout.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from adapters.assets import BACKBONE
from adapters.errors import AdapterError
from adapters.features import acoustic, visual
from adapters.llm.backbone import digest
from adapters.llm.presets import paper_fit
from adapters.published.checkpoint import MseCard, finished, save
from adapters.published.data import Turns, load_both
from adapters.published.fit import Fit, calibrate, fit
from adapters.published.inputs import LIVE
from adapters.published.model import FrozenLlm, fresh, load_llm, shape_for
from adapters.published.sets import Emotions, set_of
from adapters.training.runs import Seed, make_folder, spread, write_summary

_PRESET, _EPOCHS = "qwen-1.8b", 3  # the default; the authors' 50 epochs come with --preset


def fit_of(dataset: str, preset: str | None, **flags: float | None) -> tuple[Fit, str]:
    """The settings and the name of the sizes.

    Args:
        dataset: One of the paper's.
        preset: One of its LLMs, or None.
        flags: Fields of `Fit` that win over the preset's; None where not given.

    Raises:
        AdapterError: The paper has no such LLM or data set.
    """
    paper = paper_fit(preset or _PRESET, dataset)
    settings = {name: getattr(paper, name) for name in Fit.__slots__} | ({} if preset else {"epochs": _EPOCHS})
    return Fit(**settings | {name: value for name, value in flags.items() if value is not None}), paper.shape


def train(
    dataset: str,
    splits: tuple[Turns, Turns],
    llm: FrozenLlm,
    preset: str,
    how: Fit,
    seed: int,
    out: Path | None,
    again: bool = True,
) -> dict[str, Any]:
    """Train with one seed.

    Args:
        dataset: Name of the data set.
        splits: What is trained on, and what the best epoch is chosen by.
        llm: Stays as it is.
        preset: Sizes, a key of `adapters.mse.adapter.PRESETS`.
        how: Settings.
        seed: Of initial weights and order.
        out: Where the adapter goes, if anywhere.
        again: Train even if the same adapter is there.

    Returns:
        The best epoch's metrics, and what they are of.

    Raises:
        AdapterError: The loss was no number, or ``out`` is no folder.
    """
    fitting, valid = splits
    evaluated, shape, before = set_of(dataset), shape_for(preset, llm, fitting.widths), digest(llm.model)
    if live := fitting.source == LIVE:
        shape = replace(shape, live=True)
    about = {
        "turns": len(fitting.turns),
        "seed": seed,
        "dataset": dataset,
        "source": fitting.source,
        "data": {"train": fitting.digest, "valid": valid.digest},
        "dtype": str(llm.model.dtype).removeprefix("torch."),
        "refused": {"train": dict(fitting.refused), "valid": dict(valid.refused)},
    }
    audio, video = (acoustic.SPEC, visual.SPEC) if live else (None, None)
    made = MseCard(dataset, fitting.source, llm.spec, shape, audio, video, about={"fit": asdict(how), **about})
    if out is not None:
        make_folder(out)
    if out is not None and not again and (done := finished(out, made)) is not None:
        return {name: value for name, value in done.items() if name != "fit"}
    adapter = fresh(shape, seed)
    if live:
        every = fitting.turns
        adapter.measure(torch.cat([turn.audio for turn in every]), torch.cat([turn.video for turn in every]))
    model = llm.beside(adapter, evaluated.task)
    result = fit(model, evaluated, fitting.turns, valid.turns, how, seed)
    if isinstance(evaluated, Emotions):
        calibration, calibrated = calibrate(model, evaluated, valid.turns, evaluated.labels)
        made, about["calibrated"] = replace(made, calibration=calibration), calibrated
    if digest(llm.model) != before:
        raise AdapterError("the LLM's weights changed in training; it must stay frozen")
    about |= {"parameters": adapter.parameter_count, **result}
    if out is not None:
        save(out, adapter, replace(made, about={**made.about, **about}))
    return about


def summarised(abouts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What several seeds have in common, and mean and standard deviation of every metric that all of them have."""
    first = abouts[0]
    varied = [name for name in first if name != "seed" and all(isinstance(about[name], float) for about in abouts)]
    same = {name: first[name] for name in first if all(about[name] == first[name] for about in abouts)}
    return {
        **{name: value for name, value in same.items() if name not in varied},
        "seeds": [about["seed"] for about in abouts],
        **{name: spread([about[name] for about in abouts]) for name in varied},
    }


def main(
    data: Annotated[Path, typer.Option(help="Folder with the files, or with one folder per data set; or MMSA's file.")],
    dataset: Annotated[str, typer.Option(help="meld, cherma, mosei or sims-v2.")] = "meld",
    backbone: Annotated[str, typer.Option(help="A pulled asset, a short name, a folder or a hub name.")] = BACKBONE,
    preset: Annotated[
        str | None, typer.Option(help="The paper's settings for: qwen-1.8b, chatglm3-6b-base or llama2-7b.")
    ] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="MELD's tables with simulated voices and faces, read as the tracker reads them."),
    ] = False,
    dtype: Annotated[str, typer.Option(help="Number format of the LLM: auto, float32 or bfloat16.")] = "bfloat16",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...")] = "auto",
    dialogues: Annotated[int, typer.Option(help="Tables: train on so many only; 0 takes all.", min=0)] = 0,
    dev_dialogues: Annotated[int, typer.Option(help="Tables: evaluate so many of dev only; 0 takes all.", min=0)] = 0,
    epochs: Annotated[int | None, typer.Option(help="How often; 3, or the preset's.", min=1)] = None,
    batch: Annotated[int | None, typer.Option(help="Turns per step; the preset's.", min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The highest; the preset's.", min=0)] = None,
    patience: Annotated[int | None, typer.Option(help="Epochs without a better one; the preset's.", min=1)] = None,
    seed: Seed = 0,
    seeds: Annotated[
        int, typer.Option(help="How many to train with, each in a folder of its own; those done are kept.", min=1)
    ] = 1,
    out: Annotated[Path | None, typer.Option(help="Where the adapter goes; nowhere if not given.")] = None,
) -> None:
    """Train it and print its metrics."""
    flags = {"epochs": epochs, "batch": batch, "learning_rate": learning_rate, "patience": patience}
    set_of(dataset)
    how, shape = fit_of(dataset, preset, **flags)
    splits = load_both(dataset, data, dialogues, dev_dialogues, live=live)
    llm = load_llm(backbone, dtype, device)
    if seeds == 1:
        result = train(dataset, splits, llm, shape, how, seed, out)
    else:
        folders = {one: None if out is None else out / f"seed-{one}" for one in range(seed, seed + seeds)}
        result = summarised(
            [train(dataset, splits, llm, shape, how, one, folder, again=False) for one, folder in folders.items()]
        )
        if out is not None:
            write_summary(out, result)
    typer.echo(json.dumps(result, indent=2))
