"""Adapters go to the hub and come back unchanged, through the hub's own client, against a hub on loopback."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import close_session

from adapters import recogniser
from adapters.assets import asset_folder
from adapters.checkpoint import dimensions, store
from adapters.checkpoint.conformal import CASES, EmotionSets
from adapters.checkpoint.hub import Published, pull, push
from adapters.checkpoint.model_card import describe
from adapters.checkpoint.store import BackboneSpec, Card
from adapters.contract import MELD_LABELS, RecogniserOptions, TurnInput, Utterance
from adapters.errors import AdapterError
from adapters.features.acoustic import SPEC
from adapters.llm.backbone import Backbone
from adapters.llm.presets import backbone_source
from adapters.llm.prompt import PromptSpec
from adapters.published import checkpoint as published
from adapters.published.checkpoint import Calibration, MseCard
from adapters.published.inputs import FRAMES, TABLES
from adapters.published.model import fresh, load_llm, shape_for
from adapters.readout.head import EmotionHead, HeadShape
from tests.support.hub import REVISION, Hub, serve_hub
from tests.support.program import adapters
from tests.support.tiny import WIDTH, write_backbone

SHAPE = HeadShape(layers=(1, 2), members=2, width=WIDTH, classes=7, words_hidden=4, voice_hidden=4)
ABOUT = {
    "data": {"MELD train": "GPL-3.0", "RAVDESS | actors": "CC BY-NC-SA 4.0"},
    "limits": "English words.",
    "intended_use": "Research.",
    "seed": 3,
    "parameters": 12345,
    "dev": {"words": {"n": 1109, "weighted_f1": 0.6024, "macro_f1": 0.47, "accuracy": 0.62, "ece": 0.02, "brier": 0.5}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    llm = write_backbone(tmp_path / "llm")
    torch.manual_seed(0)
    spec = BackboneSpec(str(llm), Backbone.load(llm, SHAPE.layers, device="cpu").fingerprint)
    sets = EmotionSets(0.9, {case: (0.5,) * 7 for case in CASES})
    card = Card("small", MELD_LABELS, SPEC, spec, PromptSpec("", 64), SHAPE, about=ABOUT, sets=sets)
    store.save(tmp_path / "adapter", EmotionHead(SHAPE), card)
    return tmp_path / "adapter"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serve_hub() as served:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", served.url)
        template = served.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
        yield served
        close_session()


def asked(hub: Hub) -> set[str]:
    """Files of repositories that the hub was asked for; the client asks for more than files."""
    return {name for _, name, _ in hub.requests if name}


def test_up_and_down_again(hub: Hub, folder: Path) -> None:
    assert push(folder, "toys/small", token="hf_fake").endswith(REVISION)
    assert hub.files["toys/small"].keys() == {"adapter.safetensors", "card.json", "README.md"}
    hub.files["toys/small"] |= {"pytorch_model.bin": b"a pickle", "config.json": b'{"folder": "/etc"}'}
    hub.requests.clear()
    pulled = pull("hf:toys/small")
    for name in store.FILES:
        assert (pulled / name).read_bytes() == (folder / name).read_bytes()
    assert {path.name for path in pulled.iterdir()} == set(store.FILES)
    assert asked(hub) == set(store.FILES)


@pytest.mark.parametrize("config", [b"no JSON", b"[1]", b'{"folder": "/etc"}'])
def test_a_file_that_is_not_the_adapters_is_not_read(
    hub: Hub, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: bytes
) -> None:
    hub.files["toys/small"] = {name: (folder / name).read_bytes() for name in store.FILES}
    hub.files["toys/small"]["config.json"] = config
    assert {path.name for path in pull("hf:toys/small").iterdir()} == set(store.FILES)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "another"))
    assert Published.from_pretrained("toys/small", revision=REVISION).card == store.read_card(folder)
    assert asked(hub) == set(store.FILES)


@pytest.mark.parametrize("revision", ["", f"@{REVISION}"])
def test_a_folder_of_that_name_does_not_stand_for_the_hub(
    hub: Hub, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str
) -> None:
    hub.files["toys/small"] = {name: (folder / name).read_bytes() for name in store.FILES}
    here = tmp_path / "here"
    (here / "toys" / "small").mkdir(parents=True)
    monkeypatch.chdir(here)
    pulled = pull(f"hf:toys/small{revision}")
    assert pulled.is_relative_to(tmp_path / "hf")
    assert pulled.name == REVISION
    assert asked(hub) == set(store.FILES)


def test_a_recogniser_from_the_hub_judges_as_the_one_from_the_folder(hub: Hub, folder: Path) -> None:
    push(folder, "toys/small", token="hf_fake")
    here, there = (recogniser.load(f, device="cpu", dtype="float32") for f in (folder, f"hf:toys/small@{REVISION}"))
    turn = TurnInput(Utterance("Ann", "Hm."))
    assert here.scores(turn) == there.scores(turn)
    assert there.emotions(there.scores(turn)) == here.emotions(here.scores(turn))


def test_what_changed_on_the_way_is_refused(hub: Hub, folder: Path) -> None:
    push(folder, "toys/small", token="hf_fake")
    weights = hub.files["toys/small"]["adapter.safetensors"]
    hub.files["toys/small"]["adapter.safetensors"] = weights[:-1] + b"\x01"
    with pytest.raises(AdapterError, match="is damaged"):
        pull("hf:toys/small")


def test_an_adapter_for_dimensions_comes_from_the_hub_and_a_damaged_one_does_not(hub: Hub) -> None:
    shipped = recogniser.PRETRAINED / "valence-arousal"
    hub.files["toys/valence"] = {name: (shipped / name).read_bytes() for name in store.FILES}
    pulled = recogniser.locate("hf:toys/valence", dimensions.verify)
    assert dimensions.load(pulled)[1] == dimensions.read_card(shipped)
    hub.files["toys/torn"] = hub.files["toys/valence"] | {"adapter.safetensors": b"\x01"}
    with pytest.raises(AdapterError, match="is damaged"):
        recogniser.locate("hf:toys/torn", dimensions.verify)


def test_adapters_of_the_other_kinds_go_up_and_come_down(
    hub: Hub, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_fake")
    shipped = recogniser.PRETRAINED / "valence-arousal"
    assert adapters("push", shipped, "toys/valence").exit_code == 0
    readme = hub.files["toys/valence"]["README.md"].decode()
    assert "Says where the words of a turn lie in valence (-1 unpleasant, 1 pleasant) and arousal" in readme
    assert "| valence | 0.07" in readme
    assert recogniser.locate("hf:toys/valence", dimensions.verify).is_dir()

    llm = load_llm(str(write_backbone(tmp_path / "wide", hidden_size=WIDTH * 8)), "float32", "cpu")
    shape = shape_for("meld-2048", llm, (FRAMES, FRAMES))
    sets = EmotionSets(0.9, {"words": (0.9,) * 7})
    card = MseCard("meld", TABLES, llm.spec, shape, calibration=Calibration(1.0, sets), about={"weighted_f1": 0.312345})
    published.save(tmp_path / "published", fresh(shape, seed=0), card)
    assert adapters("push", tmp_path / "published", "toys/paper").exit_code == 0
    readme = hub.files["toys/paper"]["README.md"].decode()
    assert "in the paper's own layout, trained on meld" in readme
    assert "| weighted_f1 | 0.312 |" in readme
    loaded = recogniser.from_options(RecogniserOptions("hf:toys/paper", device="cpu"))
    assert loaded.adapter_id == published.verify(tmp_path / "published").adapter_id
    hub.files["toys/paper"]["adapter.safetensors"] = b"torn"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "another"))
    with pytest.raises(AdapterError, match="is no safetensors file"):
        recogniser.from_options(RecogniserOptions("hf:toys/paper", device="cpu"))


def test_a_damaged_adapter_is_not_published(hub: Hub, folder: Path) -> None:
    (folder / "adapter.safetensors").write_bytes(b"")
    with pytest.raises(AdapterError, match="is damaged"):
        push(folder, "toys/small", token="hf_fake")
    assert not hub.files


def test_a_hub_that_refuses(hub: Hub, folder: Path) -> None:
    hub.refuses = True
    with pytest.raises(AdapterError, match=r"the hub does not take toys/small: \w+"):
        push(folder, "toys/small", token="hf_fake")


def test_what_the_hub_does_not_have(hub: Hub) -> None:
    with pytest.raises(AdapterError, match=r"the hub does not give hf:toys/none: \w+"):
        recogniser.load("hf:toys/none")
    hub.files["toys/empty"] = {}
    with pytest.raises(AdapterError, match="the hub does not give hf:toys/empty"):
        pull("hf:toys/empty")


@pytest.mark.parametrize(
    "name",
    [
        *("hf:", "hf:small", "hf:a/b/c", "hf:a/b@", "hf:../x y"),
        *("hf:../here", "hf:./here", "hf:a/..", "hf:a/.", "hf:.a/b", "hf:a/b@../../c", "hf:a/b@/c"),
    ],
)
def test_an_odd_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(AdapterError, match="names no adapter on the hub"):
        pull(name)


def test_a_folder_is_published_as_it_is(folder: Path) -> None:
    assert Published.from_pretrained(str(folder)).folder == folder


def test_the_readme_says_data_licences_limits_use_and_figures(folder: Path) -> None:
    text = describe(store.read_card(folder))
    assert text.startswith("---\nlibrary_name: emotion-tracker\n")
    for words in (
        *("| MELD train | GPL-3.0 |", "| RAVDESS \\| actors | CC BY-NC-SA 4.0 |", "## Limits\n\nEnglish words."),
        *("## Intended use\n\nResearch.", "| words | 1109 | 0.602 |", "12,345 weights", "neutral, surprise", "90%"),
        store.read_card(folder).weights_sha256,
    ):
        assert words in text


def test_the_readme_of_a_card_that_says_nothing(folder: Path) -> None:
    path = folder / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "about": {}, "sets": None}))
    text = describe(store.read_card(folder))
    assert "## Limits\n\nNot stated." in text
    assert "Figures" not in text


def test_where_a_cards_language_model_is(tmp_path: Path) -> None:
    assert backbone_source(str(tmp_path)) == tmp_path
    assert backbone_source("Qwen/Qwen2.5-0.5B") == "Qwen/Qwen2.5-0.5B"
    assert backbone_source("smollm2-135m-instruct") == asset_folder("smollm2-135m-instruct")
