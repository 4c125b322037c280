"""What the published method reads of a turn: its words with the turns before, frames of voice and of face.

Letters: ``time`` frames, ``dim`` and ``width`` those of voice and face; ``b`` turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from adapters.contract import Utterance
from adapters.features import acoustic
from adapters.llm.prompt import anonymise
from adapters.mse.llm import MseBatch

PAST = 5  # turns before the one to classify
TABLES, PROCESSED, LIVE = "tables", "processed files", "live features"  # where turns come from
FRAMES = 64  # width of voice and face frames in the authors' files of MELD
_AT_ONCE = round(acoustic.SPEC.rate_hz / 5)  # live frames of a voice that make one: an LSTM reads five a second


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One turn; ``value`` is its class id or its intensity. No frames at all: the voice or the face is absent."""

    text: str
    audio: Float[Tensor, "time dim"]
    video: Float[Tensor, "time width"]
    value: float = 0.0

    def only(self, *, voice: bool, face: bool) -> Turn:
        """The turn without its voice, or its face, or both."""
        return replace(self, audio=self.audio[: None if voice else 0], video=self.video[: None if face else 0])


def text_of(lines: Sequence[Utterance]) -> str:
    """A turn, which is the last of the lines, with those before it, as one text."""
    return "\n".join(f"{one.speaker}: {one.text}" for one in anonymise(lines)[-PAST - 1 :])


def thinned(values: Float32[np.ndarray, "frames dim"]) -> Float[Tensor, "time dim"]:
    """A live voice, averaged over every fifth of a second; a rest that is shorter counts as one."""
    parts = torch.from_numpy(values).split(_AT_ONCE)
    return torch.stack([part.mean(0) for part in parts]) if len(values) else torch.from_numpy(values)


def batch_of(turns: Sequence[Turn]) -> MseBatch:
    """Some turns, their frames padded."""
    return MseBatch(
        [turn.text for turn in turns], _padded([turn.audio for turn in turns]), _padded([turn.video for turn in turns])
    )


def _padded(frames: Sequence[Float[Tensor, "time dim"]]) -> tuple[Float[Tensor, "b time dim"], Int[Tensor, " b"]]:
    return pad_sequence(list(frames), batch_first=True), torch.tensor([len(one) for one in frames])
