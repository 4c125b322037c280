"""How well the face network's features tell emotions apart, on single pictures.

A linear probe is fitted to the first split and evaluated on the second, beside the network's own classes and the face's
reader of an adapter that ships. One JSON on stdout.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from jaxtyping import Int
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from adapters.checkpoint import store
from adapters.checkpoint.hub import locate
from adapters.contract import MELD_LABELS
from adapters.datasets.corpus import find_kind
from adapters.datasets.records import Faces
from adapters.features import acoustic, visual
from adapters.features.visual import CHANNELS, FaceEncoder
from adapters.readout.face import FaceClassifier, summarise_face
from adapters.training.faces import FaceRows, face_rows

_REGULARISED = 0.01  # scikit-learn's C


def probe(rows: FaceRows, reader: FaceClassifier | None = None) -> dict[str, Any]:
    """Accuracy and unweighted average recall of a linear probe, the network's own classes, and a reader of faces."""
    features, labels, held_out = rows.features[:, 0].numpy(), rows.labels.numpy(), rows.held_out.numpy()
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=_REGULARISED, max_iter=500))
    linear.fit(features[~held_out], labels[~held_out])
    true = labels[held_out]
    read = {}
    if reader is not None:
        turns = np.stack([summarise_face(picture[None]) for picture in features[held_out]])
        with torch.no_grad():
            read = {"reader": _metrics(reader(torch.from_numpy(turns)).argmax(1).numpy(), true)}
    return read | {
        "fitted_to": int((~held_out).sum()),
        "evaluated_on": len(true),
        "linear_probe": _metrics(linear.predict(features[held_out]), true),
        "own_classes": _metrics(features[held_out, CHANNELS:].argmax(1), true),
    }


def _metrics(guesses: Int[np.ndarray, " n"], true: Int[np.ndarray, " n"]) -> dict[str, float]:
    return {
        "accuracy": float(np.mean(guesses == true)),
        "uar": float(recall_score(true, guesses, average="macro", zero_division=0.0)),
    }


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    dataset: Annotated[str, typer.Option(help="Pictures: fer2013, or ferplus.")] = "fer2013",
    checkpoint: Annotated[str, typer.Option(help="The adapter whose reader of faces is looked at.")] = "default",
) -> None:
    """Probe the features."""
    rows = face_rows(find_kind(dataset, Faces), MELD_LABELS, data, FaceEncoder)
    head, _ = store.load(locate(checkpoint), acoustic.SPEC, visual.SPEC)
    typer.echo(json.dumps(probe(rows, head.face), indent=2))
