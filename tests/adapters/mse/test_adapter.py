"""The published adapter: its parameter counts, and agreement with the authors' own numbers."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from adapters.errors import AdapterError
from adapters.mse.adapter import PRESETS, MseAdapter, MseShape, from_official
from adapters.mse.encoders import SequenceShape

SMALL = MseShape(64, 3, SequenceShape(5, 4), SequenceShape(6, 4))


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [
        ("meld-2048", 1_312_072),
        ("meld-4096", 2_632_844),
        ("cherma-4096", 2_842_380),
        ("mosei-4096", 2_631_692),
        ("sims-v2-4096", 2_680_716),
    ],
)
def test_parameter_counts_are_the_published_ones(preset: str, parameters: int) -> None:
    with torch.device("meta"):
        adapter = MseAdapter(PRESETS[preset])
    assert sum(value.numel() for value in adapter.parameters()) == parameters


@pytest.mark.data
def test_official_weights_give_the_reference_outputs(data_dir: Path) -> None:
    reference = load_file(data_dir / "mse_reference" / "io.safetensors")
    adapter = MseAdapter(PRESETS["meld-2048"])
    adapter.load_state_dict(from_official(load_file(data_dir / "mse_reference" / "weights.safetensors")))
    audio = (reference["audio"], reference["audio_lengths"])
    video = (reference["video"], reference["video_lengths"])
    voice, face = adapter.audio(*audio), adapter.video(*video)
    torch.testing.assert_close(voice, reference["audio_h"], atol=1e-5, rtol=0)
    torch.testing.assert_close(face, reference["video_h"], atol=1e-5, rtol=0)
    mixed = adapter.mixer(reference["text_embeddings"], voice, face)
    torch.testing.assert_close(mixed, reference["tgm"], atol=1e-5, rtol=0)
    tokens = adapter(reference["text_embeddings"], audio, video)
    torch.testing.assert_close(tokens, reference["pseudo_tokens"], atol=1e-5, rtol=0)


def test_unknown_weights_are_refused_by_name() -> None:
    with pytest.raises(AdapterError, match="lora_A"):
        from_official({"lora_A": torch.zeros(1)})


def _inputs(batch: int) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(0)
    audio = (torch.randn(batch, 7, 5), torch.randint(1, 8, (batch,)))
    video = (torch.randn(batch, 4, 6), torch.randint(1, 5, (batch,)))
    return torch.randn(batch, 3, 64), audio, video


def test_a_batch_of_one_keeps_its_shape() -> None:
    assert MseAdapter(SMALL)(*_inputs(1)).shape == (1, 3, 64)


def test_padding_changes_nothing() -> None:
    adapter = MseAdapter(SMALL)
    text, (audio, audio_lengths), (video, video_lengths) = _inputs(2)
    plain = adapter(text, (audio, audio_lengths), (video, video_lengths))
    padded_text = torch.cat([text, torch.full((2, 2, 64), 9.0)], 1)
    padded_audio = torch.cat([audio, torch.full((2, 3, 5), 9.0)], 1)
    present = torch.tensor([[True] * 3 + [False] * 2] * 2)
    torch.testing.assert_close(
        plain, adapter(padded_text, (padded_audio, audio_lengths), (video, video_lengths), present)
    )


@pytest.mark.parametrize(("full_rank", "rank"), [(False, 2), (True, 3)])
def test_rank_of_the_pseudo_tokens(full_rank: bool, rank: int) -> None:
    shape = MseShape(64, 3, SequenceShape(5, 4), SequenceShape(6, 4), full_rank=full_rank)
    tokens = MseAdapter(shape)(*_inputs(1))[0].detach()
    assert torch.linalg.matrix_rank(tokens, rtol=1e-4) == rank  # the paper's: one direction and a constant offset
