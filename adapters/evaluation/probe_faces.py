"""How well the face network's features tell FER2013's emotions apart.

A linear probe is fitted to Training and evaluated on PublicTest, beside the network's own classes. One JSON on stdout.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from jaxtyping import Int
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from adapters.features.visual import CHANNELS, FaceEncoder
from adapters.training.faces import FaceRows, face_rows

_REGULARISED = 0.01  # scikit-learn's C


def probe(rows: FaceRows) -> dict[str, Any]:
    """Accuracy and unweighted average recall of a linear probe, and of the network's own classes."""
    features, labels, held_out = rows.features[:, 0].numpy(), rows.labels.numpy(), rows.held_out.numpy()
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=_REGULARISED, max_iter=500))
    linear.fit(features[~held_out], labels[~held_out])
    true = labels[held_out]
    return {
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


def main(data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")]) -> None:
    """Probe the features."""
    rows = face_rows(data, FaceEncoder)
    typer.echo(json.dumps(probe(rows), indent=2))
