"""Who is active when, within the last seconds of one channel: pyannote's segmentation 3.0.

The network marks up to three local speakers, two of them at once, every 16.875 ms. Its local speakers have no
identity beyond one window: they tell that the speaker changed, not who it is.

Bredin, "pyannote.audio 2.1 speaker diarization pipeline", and Plaquet & Bredin, "Powerset multi-class cross
entropy loss for neural speaker diarization", both Interspeech 2023. Layers and names follow the published weights.

Letters: ``frames`` output steps of `STEP_S`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from safetensors.torch import load_file
from torch import Tensor, nn

from tracker.sources.media import RATE_HZ

STEP_S = 0.016875
"""Seconds from one output frame to the next (270 samples: strides 10 x 3 x 3 x 3)."""

WINDOW_S = 3.0
"""The window before now, seconds. The network was trained on 10; on the call and three meetings 5 were as good, and on
the call and five meetings 4 are as good as 5 (25 turns, 94.5 and 94.6 % of whose speech is one person's).
"""

_POWERSET = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
_LEAST_S = 0.2  # shorter input leaves no frame after the convolutions


class _SincFilters(nn.Module):
    """80 band-pass filters, built from 40 learned bands (Ravanelli & Bengio 2018), cosine and sine."""

    low_hz_: Tensor
    band_hz_: Tensor
    window_: Tensor
    n_: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, shape in {"low_hz_": (40, 1), "band_hz_": (40, 1), "window_": (125,), "n_": (1, 125)}.items():
            self.register_buffer(name, torch.zeros(shape))

    def forward(self) -> Float[Tensor, "80 1 251"]:
        low = 50 + torch.abs(self.low_hz_)
        high = torch.clamp(low + 50 + torch.abs(self.band_hz_), 50, RATE_HZ / 2)
        band = (high - low)[:, 0]
        at_low, at_high = torch.matmul(low, self.n_), torch.matmul(high, self.n_)
        left = (torch.sin(at_high) - torch.sin(at_low)) / (self.n_ / 2) * self.window_
        cosine = torch.cat([left, 2 * band[:, None], left.flip(1)], 1)
        left = (torch.cos(at_low) - torch.cos(at_high)) / (self.n_ / 2) * self.window_
        sine = torch.cat([left, torch.zeros_like(band[:, None]), -left.flip(1)], 1)
        return (torch.cat([cosine, sine]) / (2 * band.repeat(2)[:, None]))[:, None]


class _Sinc(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.filterbank = _SincFilters()

    def forward(self, wave: Float[Tensor, "1 1 samples"]) -> Float[Tensor, "1 80 steps"]:
        return torch.abs(nn.functional.conv1d(wave, self.filterbank(), stride=10))


class _SincNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wav_norm1d = nn.InstanceNorm1d(1, affine=True)
        self.conv1d = nn.ModuleList([_Sinc(), nn.Conv1d(80, 60, 5), nn.Conv1d(60, 60, 5)])
        self.norm1d = nn.ModuleList([nn.InstanceNorm1d(width, affine=True) for width in (80, 60, 60)])

    def forward(self, wave: Float[Tensor, "1 1 samples"]) -> Float[Tensor, "1 60 frames"]:
        x = self.wav_norm1d(wave)
        for convolve, norm in zip(self.conv1d, self.norm1d, strict=True):
            x = nn.functional.leaky_relu(norm(nn.functional.max_pool1d(convolve(x), 3)))
        return torch.as_tensor(x)


class _Segmentation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.sincnet = _SincNet()
        self.lstm = nn.LSTM(60, 128, num_layers=4, bidirectional=True, batch_first=True)
        self.linear = nn.ModuleList([nn.Linear(256, 128), nn.Linear(128, 128)])
        self.classifier = nn.Linear(128, len(_POWERSET))

    def forward(self, wave: Float[Tensor, "1 1 samples"]) -> Float[Tensor, "frames 7"]:
        x, _ = self.lstm(self.sincnet(wave).transpose(1, 2))
        for layer in self.linear:
            x = nn.functional.leaky_relu(layer(x))
        scores: Tensor = self.classifier(x)[0]
        return scores


class SpeakerActivity:
    """Marks the local speakers of a stretch of audio.

    Args:
        folder: The asset ``pyannote-segmentation-3.0``: ``model.safetensors``.
    """

    def __init__(self, folder: Path) -> None:
        self._model = _Segmentation().eval().requires_grad_(False)
        self._model.load_state_dict(load_file(folder / "model.safetensors"), strict=True)

    def __call__(self, samples: Float32[np.ndarray, " samples"]) -> Bool[np.ndarray, "frames 3"]:
        """Which local speakers are active in each frame; no frames for less than 0.2 s."""
        if len(samples) < _LEAST_S * RATE_HZ:
            return np.zeros((0, 3), bool)
        with torch.inference_mode():
            best = self._model(torch.from_numpy(samples)[None, None]).argmax(-1)
        active: Bool[np.ndarray, "frames 3"] = _POWERSET[best].bool().numpy()
        return active
