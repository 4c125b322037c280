"""What a training run leaves behind beside the checkpoint, and how several seeds are summed up.

recipe.json    the recipe, and the seed
metrics.json   what came out: the ``about`` of the card
curves.png     loss and dev score of every epoch
summary.json   of several seeds: mean, standard deviation and each seed's values
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from matplotlib.figure import Figure

from adapters.checkpoint import store
from adapters.errors import AdapterError
from adapters.training.fit import LearningCurves
from adapters.training.recipe import Recipe

Seed = Annotated[
    int, typer.Option(help="Of initial weights, order and draws; the first of several.", min=0, max=2**31 - 1)
]

_RECIPE, _METRICS, _CURVES, SUMMARY = "recipe.json", "metrics.json", "curves.png", "summary.json"
_SUMMED = ("weighted_f1", "macro_f1", "accuracy", "uar", "ece", "brier")


def make_folder(folder: Path) -> None:
    """Make the folder that a run writes to, before it has cost anything.

    Raises:
        AdapterError: It cannot be one.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AdapterError(f"cannot make the folder {folder}: {error.strerror}; give --out another one") from error


def begin(folder: Path) -> None:
    """Make a run's folder; what an earlier run left there counts as done no more.

    Raises:
        AdapterError: As `make_folder`.
    """
    make_folder(folder)
    (folder / _METRICS).unlink(missing_ok=True)


def write_run(
    folder: Path, recipe: Recipe, seed: int, about: Mapping[str, Any], curves: Mapping[str, LearningCurves]
) -> None:
    """Write down what a run did; the metrics come last, so that half a run is none (see `begin`).

    Args:
        folder: Where its checkpoint is.
        recipe: What was run.
        seed: Likewise.
        about: What came out.
        curves: The learning curves of each classifier.
    """
    _write(folder / _RECIPE, {**asdict(recipe), "seed": seed})
    draw(folder / _CURVES, curves)
    _write(folder / _METRICS, about)


def finished(folder: Path, recipe: Recipe, seed: int) -> dict[str, Any] | None:
    """What came out of a run that is finished; None where this recipe and seed have still to be run there."""
    try:
        store.verify(folder)
        requested = json.loads((folder / _RECIPE).read_text(encoding="utf-8"))
        about: dict[str, Any] = json.loads((folder / _METRICS).read_text(encoding="utf-8"))
    except (AdapterError, FileNotFoundError, json.JSONDecodeError):
        return None
    return about if requested == json.loads(json.dumps({**asdict(recipe), "seed": seed})) else None


def summarise(abouts: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Mean, standard deviation and range over seeds.

    Args:
        abouts: What came out, by seed; at least one.

    Returns:
        For each case and each metric its ``mean``, ``std`` (with n - 1; 0 for one seed), ``min``, ``max`` and the
        ``values`` of all seeds.
    """
    cases = next(iter(abouts.values()))["dev"]
    return {
        "seeds": list(abouts),
        "dev": {
            case: {name: spread([float(about["dev"][case][name]) for about in abouts.values()]) for name in _SUMMED}
            for case in cases
        },
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation (n - 1; 0 for one value), least and greatest of some values, at least one."""
    return {
        "mean": float(np.mean(values)),
        "std": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
        "min": min(values),
        "max": max(values),
        "values": list(values),
    }


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write down how several seeds did."""
    _write(folder / SUMMARY, summary)


def draw(path: Path, curves: Mapping[str, LearningCurves]) -> None:
    """Draw loss and dev score by epoch, one line per classifier."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    loss, score = figure.subplots(1, 2)
    for name, curve in curves.items():
        epochs = range(1, len(curve.losses) + 1)
        loss.plot(epochs, curve.losses, label=name)
        if curve.scores:
            score.plot(epochs[-len(curve.scores) :], curve.scores, label=name)  # one score alone is of the last epoch
    for axes, title in ((loss, "training loss"), (score, "weighted F1 on dev")):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_title(title)
        if axes.lines:
            axes.legend()
    figure.savefig(path, dpi=120)


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
