"""FER+: ten people's votes for each picture of FER2013.

Barsoum et al., "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution", ICMI
2016. The votes are under the MIT licence; the pictures are FER2013's (research use), which lie in a folder ``fer2013``
beside this one. Splits: ``Training``, ``PublicTest``, ``PrivateTest``. ``SPLIT_votes.npz`` holds ``votes`` (n x 10, -1
where nobody voted) and ``names`` (of the ten columns), in the order of ``SPLIT.npz`` there. Labels:
`adapters.contract.MELD_LABELS`, by majority; `Faces.shares` has the shares.
Quirks: people agree with FER2013's own labels in about 63 % of the pictures; a single vote counts as a slip, as the
authors have it; pictures that most take for contempt, for nothing that is known or for no face are refused, and votes
for these are left out elsewhere; pictures of one grey only are refused.

Letters: ``n`` faces.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from adapters.contract import MELD_LABELS
from adapters.datasets.corpus import Corpus
from adapters.datasets.fer2013 import SPLITS, read_arrays
from adapters.datasets.records import Faces
from adapters.errors import AdapterError

_PEOPLE = 10
_COLUMNS = {"happiness": "joy"}  # where FER+ has another name than MELD


def load(folder: Path, split: str) -> Faces:
    """Read one split.

    Args:
        folder: Where the votes are; the pictures are beside it.
        split: ``Training``, ``PublicTest`` or ``PrivateTest``.

    Raises:
        AdapterError: There is no such file, or it is something else.
    """
    images, _ = read_arrays(folder.parent / "fer2013" / f"{split}.npz", ("images", "labels"), "FER2013 split")
    path = folder / f"{split}_votes.npz"
    votes, names = read_arrays(path, ("votes", "names"), "FER+ votes")
    if votes.shape != (len(images), len(names)) or votes.dtype.kind not in "iu" or names.dtype.kind != "U":
        raise AdapterError(f"{path} holds votes {votes.shape} {votes.dtype}, but {len(images)} x {_PEOPLE} are wanted")
    columns = [_COLUMNS.get(str(name), str(name)) for name in names]
    if missing := sorted(set(MELD_LABELS.labels) - set(columns)):
        raise AdapterError(f"{path} has no votes for {', '.join(missing)}")
    counted = np.where(votes > 1, votes, 0).astype(np.float32)
    known = counted[:, [columns.index(label) for label in MELD_LABELS.labels]]
    others = counted[:, [place for place, name in enumerate(columns) if name not in MELD_LABELS.labels]]
    unseen, blank = votes.max(1) < 1, images.min((1, 2)) == images.max((1, 2))
    unclear = (known.max(1) <= others.max(1, initial=0.0)) & ~unseen
    kept = ~(unseen | blank | unclear)
    reasons = {"nobody voted": unseen, "of one grey only": blank & ~unseen, "no known emotion": unclear & ~blank}
    refused = +Counter({reason: int(rows.sum()) for reason, rows in reasons.items()})
    shares: Float32[np.ndarray, "n classes"] = known[kept] / known[kept].sum(1, keepdims=True)
    labels: Int64[np.ndarray, " n"] = shares.argmax(1).astype(np.int64)
    return Faces(images[kept], labels, refused, shares)


CORPUS = Corpus("ferplus", "FER+", "MIT; research use", Faces, MELD_LABELS, SPLITS, load)
