"""Speaker embeddings: CAM++ in torch, and the filterbank in front of it.

Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware Masking",
Interspeech 2023. Module names follow the published weights (zh+en, 192-d), so that they load strictly. As in the
authors' code no ReLU follows the last normalisation: with one, as some ports have it, speakers separate worse.

Letters: ``bins`` mel bands (80), ``time`` frames of 10 ms, ``half`` frames of 20 ms, ``b`` batch.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from safetensors.torch import load_file
from torch import Tensor, nn

from tracker.sources.media import RATE_HZ

_FRAME, _HOP, _FFT, _BINS = 400, 160, 512, 80
_SEGMENT = 100  # frames over which the context of a segment is pooled


def _mel_filters() -> Float[Tensor, "bins 257"]:
    """Kaldi's triangular filters, 20 to 8000 Hz on the HTK mel scale."""

    def mel(hz: Tensor) -> Tensor:
        return 1127.0 * torch.log1p(hz / 700.0)

    low, high = mel(torch.tensor(20.0)), mel(torch.tensor(RATE_HZ / 2))
    edges = low + (high - low) * torch.arange(_BINS + 2) / (_BINS + 1)
    at = mel(torch.arange(_FFT // 2 + 1) * RATE_HZ / _FFT)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return torch.clamp(torch.minimum((at - left) / (centre - left), (right - at) / (right - centre)), min=0)


def filterbank(samples: Float[Tensor, " samples"]) -> Float[Tensor, "time bins"]:
    """Kaldi's log mel filterbank (25 ms Povey windows every 10 ms, no dither), each band's mean taken off."""
    frames = samples.unfold(0, _FRAME, _HOP)
    frames = frames - frames.mean(1, keepdim=True)
    before = torch.cat([frames[:, :1], frames[:, :-1]], 1)
    window = torch.hann_window(_FRAME, periodic=False) ** 0.85
    power = torch.fft.rfft((frames - 0.97 * before) * window, n=_FFT).abs() ** 2
    bands = torch.log(torch.clamp(power @ _mel_filters().T, min=torch.finfo(torch.float32).eps))
    return bands - bands.mean(0)


def _norm_relu(width: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(batchnorm=nn.BatchNorm1d(width), relu=nn.ReLU()))


class _Residual(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(32, 32, 3, stride=(stride, 1), padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut.extend([nn.Conv2d(32, 32, 1, stride=(stride, 1), bias=False), nn.BatchNorm2d(32)])

    def forward(self, x: Float[Tensor, "b 32 bins time"]) -> Float[Tensor, "b 32 reduced time"]:
        inner = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(inner + self.shortcut(x))


class _Head(nn.Module):
    """Two-dimensional convolutions that bring 80 bands down to 10 bands of 32 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.layer1 = nn.Sequential(_Residual(2), _Residual(1))
        self.layer2 = nn.Sequential(_Residual(2), _Residual(1))
        self.conv2 = nn.Conv2d(32, 32, 3, stride=(2, 1), padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)

    def forward(self, x: Float[Tensor, "b bins time"]) -> Float[Tensor, "b 320 time"]:
        x = self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x[:, None])))))
        return torch.relu(self.bn2(self.conv2(x))).flatten(1, 2)


class _ContextMask(nn.Module):
    """The context-aware mask: a gate per channel from the mean of all and of each segment's frames."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(128, 32, 3, padding=dilation, dilation=dilation, bias=False)
        self.linear1 = nn.Conv1d(128, 64, 1)
        self.linear2 = nn.Conv1d(64, 32, 1)

    def forward(self, x: Float[Tensor, "b 128 half"]) -> Float[Tensor, "b 32 half"]:
        segments = nn.functional.avg_pool1d(x, _SEGMENT, _SEGMENT, ceil_mode=True)
        context = x.mean(-1, keepdim=True) + segments.repeat_interleave(_SEGMENT, -1)[..., : x.shape[-1]]
        mask = torch.sigmoid(self.linear2(torch.relu(self.linear1(context))))
        masked: Tensor = self.linear_local(x) * mask
        return masked


class _DenseLayer(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = _norm_relu(width)
        self.linear1 = nn.Conv1d(width, 128, 1, bias=False)
        self.nonlinear2 = _norm_relu(128)
        self.cam_layer = _ContextMask(dilation)

    def forward(self, x: Float[Tensor, "b width half"]) -> Float[Tensor, "b wider half"]:
        return torch.cat([x, self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))], 1)


def _unit(**parts: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(parts))


class _CamPlusPlus(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = _Head()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["tdnn"] = _unit(
            linear=nn.Conv1d(320, 128, 5, stride=2, padding=2, bias=False), nonlinear=_norm_relu(128)
        )
        width = 128
        for block, (depth, dilation) in enumerate([(12, 1), (24, 2), (16, 2)], start=1):
            dense = {f"tdnnd{i + 1}": _DenseLayer(width + 32 * i, dilation) for i in range(depth)}
            width += 32 * depth
            layers[f"block{block}"] = _unit(**dense)
            layers[f"transit{block}"] = _unit(
                nonlinear=_norm_relu(width), linear=nn.Conv1d(width, width // 2, 1, bias=False)
            )
            width //= 2
        layers["out_nonlinear"] = _norm_relu(width)
        layers["dense"] = _unit(
            linear=nn.Conv1d(2 * width, 192, 1, bias=False),
            nonlinear=_unit(batchnorm=nn.BatchNorm1d(192, affine=False)),
        )
        self.xvector = nn.Sequential(layers)

    def forward(self, features: Float[Tensor, "b time bins"]) -> Float[Tensor, "b 192"]:
        x = self.head(features.transpose(1, 2))
        for name, layer in self.xvector.named_children():
            if name == "dense":
                x = torch.cat([x.mean(-1), x.std(-1)], 1)[..., None]
            x = layer(x)
        embedding: Tensor = x[..., 0]
        return embedding


class VoiceEmbedder:
    """Turns a stretch of one voice into a unit vector; compare by cosine.

    Args:
        folder: The asset ``campplus-zh-en``: ``model.safetensors``.
    """

    def __init__(self, folder: Path) -> None:
        self._model = _CamPlusPlus()
        weights = load_file(folder / "model.safetensors")
        missing, unexpected = self._model.load_state_dict(weights, strict=False)
        if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
            raise ValueError(f"{folder} holds other weights than CAM++ (zh+en): {unexpected or missing}")
        self._model.eval().requires_grad_(False)

    def __call__(self, samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " 192"]:
        """The embedding of a turn.

        Raises:
            ValueError: Under 0.1 s of audio.
        """
        if len(samples) < RATE_HZ // 10:
            raise ValueError(f"a voice needs at least 0.1 s of audio, not {len(samples) / RATE_HZ:.3f} s")
        with torch.inference_mode():
            embedding = self._model(filterbank(torch.from_numpy(samples))[None])[0]
        vector: Float32[np.ndarray, " 192"] = embedding.numpy() / max(math.sqrt(float(embedding @ embedding)), 1e-12)
        return vector
