"""The whole published adapter, its presets, and the reading of weights in the authors' own layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from adapters.errors import AdapterError
from adapters.mse.encoders import LiveEncoder, SequenceEncoder, SequenceShape
from adapters.mse.fusion import MultiScaleFusion
from adapters.mse.mixer import TextGuideMixer


@dataclass(frozen=True, slots=True)
class MseShape:
    """Sizes of an adapter.

    Attributes:
        d: The LLM's width.
        n: Pseudo tokens.
        audio: Voice frames and their LSTM.
        video: Face frames and their LSTM.
        full_rank: Give each pseudo token a projection of its own; the paper does not.
        live: Standardise frames, and learn a vector for an absent voice or face; the paper does not.
    """

    d: int
    n: int
    audio: SequenceShape
    video: SequenceShape
    full_rank: bool = False
    live: bool = False


# The paper's settings by data set and LLM: Qwen-1.8B is 2048 wide, ChatGLM3-6B-base and LLaMA2-7B are 4096.
PRESETS: Mapping[str, MseShape] = {
    "meld-2048": MseShape(2048, 2, SequenceShape(64, 32), SequenceShape(64, 16)),
    "cherma-2048": MseShape(2048, 4, SequenceShape(1024, 32), SequenceShape(2048, 16)),
    "mosei-2048": MseShape(2048, 4, SequenceShape(74, 64), SequenceShape(35, 32)),
    "sims-v2-2048": MseShape(2048, 4, SequenceShape(25, 64), SequenceShape(177, 64)),
    "meld-4096": MseShape(4096, 4, SequenceShape(64, 64), SequenceShape(64, 32)),
    "cherma-4096": MseShape(4096, 4, SequenceShape(1024, 32), SequenceShape(2048, 16)),
    "mosei-4096": MseShape(4096, 4, SequenceShape(74, 64), SequenceShape(35, 32)),
    "sims-v2-4096": MseShape(4096, 4, SequenceShape(25, 64), SequenceShape(177, 64)),
}

# The authors' names (spelling theirs) and ours.
_OFFICIAL = (
    ("audio_LSTM.", "audio."),
    ("video_LSTM.", "video."),
    ("text_guide_mixer.", "mixer."),
    ("mutli_scale_fusion.integrating.Integrating_layer.0.", "fusion.kernel."),
    ("mutli_scale_fusion.multi_scale_projector.", "fusion.widen."),
    ("mutli_scale_fusion.projector.", "fusion.spread."),
    ("mutli_scale_fusion.", "fusion."),
)


class MseAdapter(nn.Module):
    """Encoders, Text-Guide-Mixer and Multi-Scale Fusion in a row.

    Attributes:
        shape: Its sizes.
    """

    def __init__(self, shape: MseShape) -> None:
        super().__init__()
        encoder = LiveEncoder if shape.live else SequenceEncoder
        self.audio, self.video = encoder(shape.audio), encoder(shape.video)
        self.mixer = TextGuideMixer(shape.d)
        self.fusion = MultiScaleFusion(shape.d, shape.n, full_rank=shape.full_rank)
        self.shape = shape

    def measure(self, audio: Float[Tensor, "time dim"], video: Float[Tensor, "frames width"]) -> None:
        """Take the scales of training frames, where the adapter standardises them; of fewer than two, none."""
        for encoder, frames in ((self.audio, audio), (self.video, video)):
            if isinstance(encoder, LiveEncoder) and len(frames) > 1:
                encoder.measure(frames)

    @property
    def parameter_count(self) -> int:
        """How many weights are trained."""
        return sum(value.numel() for value in self.parameters())

    def forward(
        self,
        text: Float[Tensor, "b words d"],
        audio: tuple[Float[Tensor, "b time dim"], Int[Tensor, " b"]],
        video: tuple[Float[Tensor, "b frames width"], Int[Tensor, " b"]],
        present: Bool[Tensor, "b words"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Pseudo tokens.

        Args:
            text: Embeddings of the text's tokens.
            audio: Voice frames, padded, and each one's length.
            video: Face frames, padded, and each one's length.
            present: Which of the text's tokens are no padding.
        """
        mixed = self.mixer(text, self.audio(*audio), self.video(*video), present)
        tokens: Tensor = self.fusion(mixed)
        return tokens


def from_official(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' state dict under our names; their one-row convolution kernel becomes a linear map.

    Raises:
        AdapterError: A weight is not one of theirs.
    """
    renamed: dict[str, Tensor] = {}
    for key, value in weights.items():
        prefix = next((pair for pair in _OFFICIAL if key.startswith(pair[0])), None)
        if prefix is None:
            raise AdapterError(f"{key} is no weight of the published MSE-Adapter")
        name = prefix[1] + key.removeprefix(prefix[0])
        renamed[name] = value.reshape(1, -1) if name == "fusion.kernel.weight" else value
    return renamed


def shape_of(weights: Mapping[str, Tensor]) -> MseShape:
    """The sizes that weights under our names have, with the paper's projector.

    Raises:
        AdapterError: They are not those of an adapter.
    """

    def size(name: str, axis: int) -> int:
        if name not in weights or weights[name].ndim <= axis:
            raise AdapterError(f"no weights of the published MSE-Adapter: {name} is missing")
        return weights[name].shape[axis]

    audio, video = (
        SequenceShape(size(f"{name}.rnn.weight_ih_l0", 1), size(f"{name}.linear.weight", 1))
        for name in ("audio", "video")
    )
    return MseShape(size("mixer.text_mlp.weight", 1), size("fusion.spread.weight", 0), audio, video)
