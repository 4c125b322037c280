"""Turns put together from pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from adapters.assets import asset_folder
from adapters.contract import MELD_LABELS
from adapters.features.visual import CHANNELS, SPEC
from adapters.readout.face import FACE_DIM, FaceClassifier, summarise_face
from adapters.training.faces import STRENGTHS, FaceRows, degrade, face_turns, fit_face
from adapters.training.recipe import RECIPES, read_recipe


def rows(faces: int = 70) -> FaceRows:
    """Pictures whose own classes are right, and whose channels tell which picture and variant it is."""
    labels = torch.arange(faces) % 7
    features = torch.zeros(faces, 1 + len(STRENGTHS), SPEC.dim)
    features[:, :, 0] = torch.arange(faces)[:, None]
    features[:, :, CHANNELS:] = (4.0 * torch.eye(7)[labels]).log_softmax(-1)[:, None]
    return FaceRows(features, labels, torch.zeros(faces, dtype=torch.bool), MELD_LABELS, torch.eye(7)[labels])


def test_a_turn_is_the_mean_of_its_frames_and_the_peak_of_each_class() -> None:
    frames = np.random.default_rng(0).normal(size=(4, SPEC.dim)).astype(np.float32)
    summary = summarise_face(frames)
    assert (summary.shape, summary.dtype) == ((FACE_DIM,), np.float32)
    np.testing.assert_allclose(summary[: SPEC.dim], frames.mean(0), rtol=1e-5)
    np.testing.assert_array_equal(summary[SPEC.dim :], frames[:, CHANNELS:].max(0))
    np.testing.assert_array_equal(summarise_face(frames[::-1]), summarise_face(frames[::-1].copy()))


def test_turns_have_their_label_shown_at_least_once() -> None:
    turns = face_turns(rows(), per_label=40, seed=0)
    assert turns.summaries.shape == (7 * 40, FACE_DIM)
    peaks = turns.summaries[:, SPEC.dim :]
    own = peaks.gather(1, turns.labels[:, None])[:, 0]
    highest = peaks.max(1).values - 1e-4
    assert (own > highest).all()
    neutral = (peaks[:, 0] > highest)[turns.labels != 0]
    assert 0.3 < neutral.float().mean() < 1.0  # neutral moments lie between, but not in every turn
    again = face_turns(rows(), per_label=40, seed=0)
    assert turns.summaries.equal(again.summaries)
    assert not turns.summaries.equal(face_turns(rows(), per_label=40, seed=1).summaries)


def test_a_reader_learns_from_turns() -> None:
    spec = read_recipe(RECIPES / "default.toml").face
    assert spec is not None
    torch.manual_seed(0)
    reader = FaceClassifier(8, 2, 7, spec.dropout)
    turns = face_turns(rows(), per_label=60, seed=0)
    curves = fit_face(reader, turns, spec)
    assert curves.losses[-1] < curves.losses[0]
    scores = reader(turns.summaries)
    torch.testing.assert_close(scores.exp().sum(1), torch.ones(len(scores)))
    assert (scores.argmax(1) == turns.labels).float().mean() > 0.75


def test_degraded_faces_differ_the_more_the_stronger() -> None:
    pattern = np.indices((48, 48)).sum(0).astype(np.uint8) * 2
    faces = np.repeat(pattern[None], 60, axis=0)
    slight, strong = (degrade(faces, strength, 0) for strength in (0.1, 1.0))
    assert (slight.shape, slight.dtype) == (faces.shape, np.uint8)
    errors = [np.abs(changed.astype(float) - faces).mean() for changed in (slight, strong)]
    assert 0 < errors[0] < errors[1] / 3
    assert (degrade(faces, 1.0, 0) == strong).all()
    assert (degrade(faces, 1.0, 1) != strong).any()


@pytest.mark.models
@pytest.mark.data
def test_real_faces_are_told_apart_though_degraded(data_dir: Path) -> None:
    from adapters.datasets import fer2013
    from adapters.features.visual import FaceEncoder

    folder = asset_folder("mini-xception-fer")
    if not folder.is_dir():
        pytest.skip(f"no weights at {folder}: pull mini-xception-fer")
    faces = fer2013.load(data_dir / "fer2013", "PublicTest")
    reader = FaceEncoder(folder)
    right = [
        np.mean(reader(degrade(faces.images[::12], strength, 0))[:, CHANNELS:].argmax(1) == faces.labels[::12])
        for strength in STRENGTHS
    ]
    assert 0.25 < right[1] < right[0]


def test_a_turn_is_as_probable_as_people_see_in_its_own_pictures() -> None:
    """What the neutral pictures between them show is no opinion about the turn."""
    made = rows()
    shares = 0.7 * torch.eye(7)[made.labels] + 0.3 * torch.eye(7)[(made.labels + 1) % 7]
    turns = face_turns(replace(made, shares=shares), per_label=5, seed=0)
    expected = 0.7 * torch.eye(7)[turns.labels] + 0.3 * torch.eye(7)[(turns.labels + 1) % 7]
    torch.testing.assert_close(turns.shares, expected)
