"""The names of LLMs, and the published settings."""

import pytest

from adapters.assets import asset_folder
from adapters.errors import AdapterError
from adapters.llm.presets import PAPER, backbone_source, paper_fit
from adapters.mse.adapter import PRESETS

WIDTHS = {"qwen-1.8b": 2048, "chatglm3-6b-base": 4096, "llama2-7b": 4096}


@pytest.mark.parametrize(("llm", "dataset"), PAPER)
def test_published_settings_are_of_one_width(llm: str, dataset: str) -> None:
    fit = paper_fit(llm, dataset)
    assert fit.shape.startswith(dataset)
    assert PRESETS[fit.shape].d == WIDTHS[llm]
    assert 0 < fit.patience < fit.epochs


def test_what_the_paper_does_not_have() -> None:
    with pytest.raises(AdapterError, match=r"no smollm2-135m on meld, but qwen-1\.8b on meld"):
        paper_fit("smollm2-135m", "meld")


def test_a_preset_stands_for_its_model_on_the_hub(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_TRACKER_CACHE", str(tmp_path))
    assert backbone_source("qwen3-0.6b") == "Qwen/Qwen3-0.6B"
    asset_folder("qwen3-0.6b").mkdir(parents=True)
    assert backbone_source("qwen3-0.6b") == asset_folder("qwen3-0.6b")
    assert backbone_source("none-of-these") == asset_folder("none-of-these")
