"""The table of LLMs, and the published settings."""

import pytest

from adapters.assets import asset_folder
from adapters.errors import AdapterError
from adapters.llm.presets import LLMS, PAPER, backbone_source, paper_fit
from adapters.mse.adapter import PRESETS


@pytest.mark.parametrize("name", LLMS)
def test_the_middle_of_an_llm_is_inside_it(name: str) -> None:
    llm = LLMS[name]
    assert list(llm.middle_layers) == sorted(set(llm.middle_layers))
    assert 0 < llm.middle_layers[0] < llm.middle_layers[-1] < llm.layers


def test_the_middle_of_the_llm_that_it_was_measured_on() -> None:
    assert LLMS["smollm2-135m"].middle_layers == (11, 13, 15, 17)


@pytest.mark.parametrize(("llm", "dataset"), PAPER)
def test_published_settings_are_of_one_width(llm: str, dataset: str) -> None:
    fit = paper_fit(llm, dataset)
    assert fit.shape.startswith(dataset)
    assert PRESETS[fit.shape].d == LLMS[llm].width
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
