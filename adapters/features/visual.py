"""Face features: what mini-XCEPTION sees in a grey face, frame by frame.

The network is oarriaga/face_classification's (Arriaga, Valdenegro-Toro & Plöger, "Real-time Convolutional Neural
Networks for Emotion and Gender Classification", 2017, arXiv 1710.07557), trained on FER2013. A frame's features are the
channels of its last block, averaged over the face, then the log probabilities of its own seven classes.

Letters: ``faces`` in a batch, ``dim`` the width of a frame, ``h w`` pixels.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, pad

from adapters.assets import FACE_ENCODER, asset_folder
from adapters.contract import MELD_LABELS, FeatureSpec
from adapters.errors import AdapterError

SIZE = 48  # pixels of a face's side, framed as FER2013's
CHANNELS = 128  # columns of a frame that are the last block's channels; the log probabilities of MELD's labels follow
SPEC = FeatureSpec(FACE_ENCODER, version=1, dim=CHANNELS + len(MELD_LABELS), rate_hz=5.0)

_SEEN = 64  # pixels of a side as the network takes it
_WIDTHS = (8, 16, 32, 64, 128)  # channels of the entry and the four blocks
_KERAS_EPSILON = 1e-3
_ORDER = ("anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral")  # of the network's own classes


class FaceEncoder:
    """Reads faces; the same face gives the same features, whichever others are read with it.

    Args:
        folder: With the weights; the pulled asset if not given.

    Raises:
        AdapterError: The folder holds no such network, or a damaged one.
    """

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or asset_folder(FACE_ENCODER)
        path = folder / "model.safetensors"
        if not path.is_file():
            raise AdapterError(f"no face network at {folder}: pull {FACE_ENCODER} or give its folder")
        self._network = MiniXception()
        try:
            stored = load_file(path)
        except SafetensorError as error:
            raise AdapterError(f"{path} cannot be read ({error}): pull {FACE_ENCODER} again") from error
        weights = {_torch_name(name): _torch_layout(name, value) for name, value in stored.items()}
        state = self._network.state_dict().items()
        expected = {name: value.shape for name, value in state if not name.endswith("num_batches_tracked")}
        if {name: value.shape for name, value in weights.items()} != expected:
            raise AdapterError(f"{path} is not mini-XCEPTION: pull {FACE_ENCODER} again")
        self._network.load_state_dict(weights, strict=False)
        self._network.train(False).requires_grad_(False)
        self._order = torch.tensor([_ORDER.index(label) for label in MELD_LABELS.labels])

    @torch.inference_mode()
    def __call__(self, crops: UInt8[np.ndarray, "faces 48 48"]) -> Float32[np.ndarray, "faces dim"]:
        """Features of each face.

        Args:
            crops: Grey faces, framed as FER2013's.
        """
        if crops.shape[1:] != (SIZE, SIZE) or crops.dtype != np.uint8:
            raise ValueError(f"faces of {SIZE} x {SIZE} in uint8 are wanted, not {crops.shape} {crops.dtype}")
        # One by one: in a batch, the last bits would depend on how many others there are.
        rows = [self._read(torch.from_numpy(crop[None, None])) for crop in np.ascontiguousarray(crops)]
        return torch.cat(rows).numpy() if rows else np.zeros((0, SPEC.dim), np.float32)

    def _read(self, face: Tensor) -> Float[Tensor, "1 dim"]:
        scaled = interpolate(face.float(), size=(_SEEN, _SEEN), mode="bilinear", align_corners=False)
        maps = self._network.maps(scaled.round() / 127.5 - 1.0)
        scores = self._network.classes(maps).mean((2, 3))[:, self._order]
        return torch.cat([maps.mean((2, 3)), scores.log_softmax(-1)], dim=1)


class MiniXception(nn.Module):
    """Two convolutions, four residual blocks of separable convolutions, and one more convolution to the classes."""

    def __init__(self) -> None:
        super().__init__()
        entry = _WIDTHS[0]
        self.entry = nn.Sequential(
            *(nn.Conv2d(1, entry, 3, bias=False), _norm(entry), nn.ReLU()),
            *(nn.Conv2d(entry, entry, 3, bias=False), _norm(entry), nn.ReLU()),
        )
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in pairwise(_WIDTHS)))
        self.classes = nn.Conv2d(_WIDTHS[-1], len(_ORDER), 3, padding=1)

    def maps(self, x: Float[Tensor, "b 1 64 64"]) -> Float[Tensor, "b 128 4 4"]:
        """The last block's channels. ``x`` is in [-1, 1]."""
        maps: Tensor = self.blocks(self.entry(x))
        return maps


class Block(nn.Module):
    """Separable convolutions, then half as many pixels, beside a plain convolution with the same stride."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride=2, bias=False), _norm(after))
        self.main = nn.Sequential(
            *(_depthwise(before), nn.Conv2d(before, after, 1, bias=False), _norm(after), nn.ReLU()),
            *(_depthwise(after), nn.Conv2d(after, after, 1, bias=False), _norm(after)),
        )

    def forward(self, x: Float[Tensor, "b before h w"]) -> Float[Tensor, "b after h2 w2"]:
        """One block."""
        first = x.shape[-1] % 2  # Keras pads an even side behind only
        pooled = max_pool2d(pad(self.main(x), (first, 1, first, 1), value=-torch.inf), 3, stride=2)
        after: Tensor = self.shortcut(x) + pooled
        return after


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_KERAS_EPSILON)


def _depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)


def _torch_name(name: str) -> str:
    """Where a weight of Keras's goes; layers are numbered from 1 through the whole network there."""
    layer, weight = name.split(".")
    kind, number = layer.rsplit("_", 1)
    at = int(number) - 1
    kept = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    match kind:
        case "conv2d" if at < 2:
            return f"entry.{3 * at}.weight"
        case "conv2d" if at < 6:
            return f"blocks.{at - 2}.shortcut.0.weight"
        case "conv2d":
            return f"classes.{'weight' if weight == 'kernel' else 'bias'}"
        case "separable_conv2d":
            return f"blocks.{at // 2}.main.{at % 2 * 4 + (weight == 'pointwise_kernel')}.weight"
        case _ if at < 2:
            return f"entry.{3 * at + 1}.{kept[weight]}"
        case _:
            block, which = divmod(at - 2, 3)
            return f"blocks.{block}.{('shortcut.1', 'main.2', 'main.6')[which]}.{kept[weight]}"


def _torch_layout(name: str, value: Tensor) -> Tensor:
    """Keras has kernels as height, width, inputs, outputs; and depthwise ones with the outputs of each input last."""
    if value.ndim < 4:
        return value
    return value.permute(2, 3, 0, 1) if name.endswith("depthwise_kernel") else value.permute(3, 2, 0, 1)
