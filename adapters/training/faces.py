"""Turns with a face, made from single pictures, and fitting the face classifier to them.

FER2013 has one picture of each face, so a turn is put together from a few pictures of the same label: the moments of
one expression. Real turns show an expression for part of the time only, so neutral pictures lie between; and cameras
show faces small, tilted, dark and blurred, so every picture is also there as such a camera would have it. Every result
obtained with these turns is a result about this simulation.

Letters: ``faces`` pictures, ``variants`` of each, ``dim`` width of a frame, ``turns``, ``summary`` a turn's width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, UInt8
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate, one_hot

from adapters.contract import LabelSet
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Faces
from adapters.features.visual import SIZE, SPEC
from adapters.readout.face import FaceClassifier, summarise_face
from adapters.training.feature_cache import cached
from adapters.training.fit import LearningCurves, fit_ensemble
from adapters.training.progress import progress
from adapters.training.recipe import FitSpec

VERSION = 1  # raised whenever the same pictures would give other rows
STRENGTHS = (0.4, 1.0)  # each picture is there as it is, and as one camera and a worse one see it
_MOST_PER_LABEL = 1500  # of the fitting split; disgust has 436
_READ_AT_ONCE = 100


class PictureEncoder(Protocol):
    """Encodes faces (`adapters.features.visual.FaceEncoder`)."""

    def __call__(self, crops: UInt8[np.ndarray, "faces 48 48"]) -> Float32[np.ndarray, "faces dim"]:
        """Features of each face."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceRows:
    """Pictures, encoded by the face network.

    Attributes:
        features: Of each picture as it is, then of its other variants.
        labels: Class ids.
        held_out: Which ones are not trained on.
        label_set: What the class ids stand for.
        shares: How probable each class is by those who labelled it; 1 for its label where only that is known.
    """

    features: Float[Tensor, "faces variants dim"]
    labels: Int[Tensor, " faces"]
    held_out: Bool[Tensor, " faces"]
    label_set: LabelSet
    shares: Float[Tensor, "faces classes"]

    def where(self, rows: Bool[Tensor, " faces"]) -> FaceRows:
        """Some of the pictures."""
        return FaceRows(self.features[rows], self.labels[rows], self.held_out[rows], self.label_set, self.shares[rows])


@dataclass(frozen=True, slots=True, eq=False)
class FaceTurns:
    """Turns put together from pictures: one summary each, their class ids, and how probable each class is."""

    summaries: Float[Tensor, "turns summary"]
    labels: Int[Tensor, " turns"]
    shares: Float[Tensor, "turns classes"]

    def where(self, rows: slice) -> FaceTurns:
        """Some of the turns."""
        return FaceTurns(self.summaries[rows], self.labels[rows], self.shares[rows])


def degrade(faces: UInt8[np.ndarray, "faces 48 48"], strength: float, seed: int) -> UInt8[np.ndarray, "faces 48 48"]:
    """Faces as a bad camera sees them: tilted, off centre, nearer or farther, coarse, darker or lighter, with noise.

    Args:
        faces: As they are.
        strength: In (0, 1]; at 1 up to 12 degrees, 4 pixels, a fifth of the size, a third of the resolution.
        seed: Of the draws.
    """
    random = np.random.default_rng(seed)
    count = len(faces)

    def up_to(bound: float) -> Tensor:
        return torch.from_numpy((strength * random.uniform(-bound, bound, count)).astype(np.float32))

    angle, scale = up_to(0.2), 1.0 + up_to(0.2)
    across, down = scale * angle.cos(), scale * angle.sin()
    moved = torch.stack([across, -down, up_to(0.15), down, across, up_to(0.15)], dim=1).view(count, 2, 3)
    grid = affine_grid(moved, [count, 1, SIZE, SIZE], align_corners=False)
    pixels = grid_sample(torch.from_numpy(faces)[:, None].float(), grid, padding_mode="border", align_corners=False)
    sides = random.integers(round(SIZE * (1.0 - strength * 2 / 3)), SIZE + 1, count).tolist()
    coarse = [interpolate(face[None], size=(side, side), mode="area") for face, side in zip(pixels, sides, strict=True)]
    pixels = torch.cat([interpolate(face, size=(SIZE, SIZE), mode="bilinear") for face in coarse])
    middle = pixels.mean((2, 3), keepdim=True)
    contrast, level, grain = (up_to(bound).view(count, 1, 1, 1) for bound in (0.4, 40.0, 12.0))
    noise = torch.from_numpy(random.normal(size=pixels.shape).astype(np.float32))
    noisy = (pixels - middle) * (1.0 + contrast) + middle + level + grain * noise
    degraded: UInt8[np.ndarray, "faces 48 48"] = noisy.round().clamp(0, 255)[:, 0].byte().numpy()
    return degraded


def face_rows(
    corpus: Corpus[Faces], label_set: LabelSet, data: Path, encoder: Callable[[], PictureEncoder]
) -> FaceRows:
    """Encode the first split of a data set up to a bound per label, and all of the second, which is held out.

    Args:
        corpus: The data set.
        label_set: The labels that are learned; faces of others are left out.
        data: Folder with one folder per data set.
        encoder: Loads the face network, if something is not in the cache.

    Raises:
        AdapterError: The data set is missing or damaged.
    """
    fitting, held = (corpus.read(data, split) for split in list(corpus.splits)[:2])
    ids = np.array([label_set.labels.index(name) if name in label_set.labels else -1 for name in corpus.names()])
    known = [ids[faces.labels] for faces in (fitting, held)]
    chosen = np.sort(
        np.concatenate([np.flatnonzero(known[0] == label)[:_MOST_PER_LABEL] for label in range(len(label_set))])
    )
    also = np.flatnonzero(known[1] >= 0)
    images = np.concatenate([fitting.images[chosen], held.images[also]])
    labels = torch.from_numpy(np.concatenate([known[0][chosen], known[1][also]]))
    shares = one_hot(labels, len(label_set)).float()
    if fitting.shares is not None and held.shares is not None and list(corpus.names()) == list(label_set.labels):
        shares = torch.from_numpy(np.concatenate([fitting.shares[chosen], held.shares[also]]))

    def make() -> Tensor:
        loaded = encoder()
        variants = [images, *(degrade(images, strength, seed) for seed, strength in enumerate(STRENGTHS))]
        pieces = [faces[at : at + _READ_AT_ONCE] for faces in variants for at in range(0, len(faces), _READ_AT_ONCE)]
        encoded = np.concatenate([loaded(piece) for piece in progress(pieces, "encoding faces")])
        return torch.from_numpy(encoded.reshape(len(variants), len(images), -1)).transpose(0, 1).half()

    pixels = hashlib.sha256(images.tobytes()).hexdigest()
    features = cached("faces", (SPEC, VERSION, STRENGTHS, len(chosen), pixels), make).float()
    held_out = torch.arange(len(images)) >= len(chosen)
    return FaceRows(features, labels, held_out, label_set, shares)


def face_turns(rows: FaceRows, per_label: int, seed: int) -> FaceTurns:
    """Put turns together, as `face_frames` does, and summarise each."""
    frames, labels, shares = face_frames(rows, per_label, seed)
    return FaceTurns(torch.from_numpy(np.stack([summarise_face(one.numpy()) for one in frames])), labels, shares)


def face_frames(
    rows: FaceRows, per_label: int, seed: int
) -> tuple[list[Float[Tensor, "frames dim"]], Int[Tensor, " turns"], Float[Tensor, "turns classes"]]:
    """Put turns together; their frames, their class ids, and the mean shares of the pictures of their own label.

    A turn has 1 to 30 frames, of 1 to 4 pictures of its label in any variant, and up to 60 % of them are neutral.

    Args:
        rows: The pictures; every label must be there.
        per_label: How many turns of each label.
        seed: Of the draws.
    """
    random = np.random.default_rng(seed)
    labels = rows.labels.numpy()
    pools = [np.flatnonzero(labels == label) for label in range(len(rows.label_set))]
    features, neutral_id = rows.features.numpy(), rows.label_set.labels.index("neutral")
    turns: list[Float[Tensor, "frames dim"]] = []
    shares: list[Tensor] = []
    for pool in pools:
        for _ in range(per_label):
            frames = int(random.integers(1, 31))
            moments = random.choice(pool, int(random.integers(1, 5)))
            calm = random.choice(pools[neutral_id], 2)
            neutral = random.random(frames) < random.uniform(0.0, 0.6)
            neutral[random.integers(frames)] = False  # its own expression shows at least once
            shares.append(rows.shares[torch.from_numpy(moments)].mean(0))
            shown = np.where(neutral, random.choice(calm, frames), random.choice(moments, frames))
            turns.append(torch.from_numpy(features[shown, random.integers(features.shape[1], size=frames)]))
    return turns, torch.arange(len(pools)).repeat_interleave(per_label), torch.stack(shares)


def turns_with_faces(rows: FaceRows, per_label: int, seed: int) -> tuple[FaceTurns, FaceTurns]:
    """Turns to fit the face classifier to, and a fifth as many of pictures that are held out."""
    fitting, held_out = rows.where(~rows.held_out), rows.where(rows.held_out)
    return face_turns(fitting, per_label, seed), face_turns(held_out, per_label // 5, seed)


def halves(turns: FaceTurns) -> tuple[FaceTurns, FaceTurns]:
    """Every other turn, and the rest."""
    return turns.where(slice(0, None, 2)), turns.where(slice(1, None, 2))


def fit_face(classifier: FaceClassifier, turns: FaceTurns, spec: FitSpec) -> LearningCurves:
    """Fit the face classifier, every label counting the same."""
    every = torch.ones(len(turns.labels))
    return fit_ensemble(classifier.ensemble, turns.summaries, turns.labels, every, spec, targets=turns.shares)
