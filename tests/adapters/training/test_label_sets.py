"""Training on other labels than MELD's, from made-up files to a checkpoint that is evaluated."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters import recogniser
from adapters.checkpoint.model_card import describe
from adapters.contract import NEUTRAL, POSITIVE, Features, LabelSet, TurnInput, Utterance
from adapters.datasets import emorynlp, iemocap
from adapters.errors import AdapterError
from adapters.features.acoustic import SPEC
from adapters.training.recipe import RECIPES, DataSpec, Recipe, read_recipe
from adapters.training.sources import Encoders, sources_of
from adapters.training.train import train
from tests.support.program import adapters
from tests.support.tiny import write_backbone

CODES = {"happy": "hap", "sad": "sad", "neutral": "neu", "angry": "ang", "excited": "exc", "frustrated": "fru"}


def write_emorynlp(folder: Path) -> None:
    rows = [
        f"{label}!,['Ann'],{label.title()},{turn // 7},{turn},1,1"
        for turn, label in enumerate(emorynlp.LABELS.labels * 4)
    ]
    text = "\n".join(["Utterance,Speaker,Emotion,Scene_ID,Utterance_ID,Season,Episode", *rows])
    for split in ("train", "dev"):
        (folder / f"emorynlp_{split}_final.csv").write_text(text, "utf-8")


def write_iemocap(folder: Path) -> None:
    for session in range(1, 6):
        name = f"Ses0{session}F_impro01"
        turns = [(f"{name}_F{turn:03}", label) for turn, label in enumerate(iemocap.LABELS.labels * 2)]
        files = {
            "transcriptions": [f"{one} [{at:03}.0-{at:03}.5]: {label}!" for at, (one, label) in enumerate(turns)],
            "EmoEvaluation": [f"[1.0 - 2.0]\t{one}\t{CODES[label]}\t[1.0, 1.0, 1.0]" for one, label in turns],
        }
        for kind, lines in files.items():
            path = folder / f"Session{session}" / "dialog" / kind / f"{name}.txt"
            path.parent.mkdir(parents=True)
            path.write_text("\n".join(lines), "utf-8")


def never() -> Any:
    raise AssertionError("neither voices nor faces have these labels")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """The default, voices and faces included, on a tiny LLM."""
    monkeypatch.setenv("EMOTION_TRACKER_CACHE", str(tmp_path / "cache"))
    shipped = read_recipe(RECIPES / "default.toml")
    words = replace(shipped.words, epochs=20, batch=16, learning_rate=3e-2, weight_decay=0.0, dropout=(0.0, 0.0))
    return replace(
        shipped,
        backbone=str(write_backbone(tmp_path / "llm", hidden_size=64)),
        dtype="float32",
        layers=(1, 2),
        members=2,
        max_tokens=256,
        words=words,
        lora=None,
        data=replace(shipped.data, also=()),
        asr_words=0.0,
        soft_targets=0.0,
    )


@pytest.mark.parametrize(
    ("name", "labels", "write"),
    [("emorynlp", emorynlp.LABELS, write_emorynlp), ("iemocap", iemocap.LABELS, write_iemocap)],
)
def test_from_other_labels_to_scores(
    tmp_path: Path, recipe: Recipe, name: str, labels: LabelSet, write: Callable[[Path], None]
) -> None:
    (tmp_path / "data" / name).mkdir(parents=True)
    write(tmp_path / "data" / name)
    recipe = replace(recipe, data=replace(recipe.data, dialogues=name))
    about = train(recipe, tmp_path / "data", tmp_path / "out", 0, Encoders(never, never))
    assert set(about["dev"]) == {"words"}
    assert list(about["dev"]["words"]["per_class_f1"]) == list(labels.labels)
    assert about["dev"]["words"]["accuracy"] > 0.9  # dev is train here
    assert about["absent"].keys() == {"audio", "video"}
    assert about["absent"]["video"].startswith("no faces are labelled ")
    assert all("(fitting words)" in text for text in about["data"])

    model = recogniser.load(tmp_path / "out", recipe.backbone, device="cpu", dtype="float32")
    assert model.labels == labels
    assert model.feature_specs == {}
    sound = Features(SPEC, np.zeros((3, SPEC.dim), np.float32))
    scores = model.scores(TurnInput(Utterance("Ann", f"{labels.labels[0]}!"), audio=sound))
    assert scores.label == labels.labels[0]
    assert scores.modalities == {"text": "used", "audio": "not read by this adapter", "video": "not given"}
    assert scores.sentiment == ("positive" if labels.polarity[0] == POSITIVE else "neutral")
    assert model.emotions(scores)[0] == labels.labels[0]
    wordless = model.scores(TurnInput(Utterance("Ann", ""), audio=sound))
    assert wordless.abstained == "nothing to judge by: no words"
    assert model.emotions(wordless)
    readme = describe(model.card)
    assert "from its words and the turns before it: one of\n" + ", ".join(labels.labels) in readme
    assert "no faces are labelled" in readme

    options = ["--data", tmp_path / "data", "--checkpoint", tmp_path / "out", "--backbone", recipe.backbone]
    result = adapters("evaluate", "--dataset", name, "--dtype", "float32", *options)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["weighted_f1"] == pytest.approx(about["dev"]["words"]["weighted_f1"], abs=0.1)


def test_voices_and_faces_are_read_where_they_have_the_labels() -> None:
    shipped = read_recipe(RECIPES / "default.toml")
    sources = sources_of(shipped)
    assert [voice.name for voice in sources.voices] == list(shipped.data.voices)
    assert sources.faces is not None
    assert not sources.absent
    without = sources_of(replace(shipped, voice=None, data=replace(shipped.data, faces=None)))
    assert without.absent == {"audio": "the recipe has no voices", "video": "the recipe has no faces"}
    assert "voice" not in without.limits()
    few = sources_of(replace(shipped, data=replace(shipped.data, voices=("neutral-talk",))))
    assert few.absent == {
        "audio": "no voices are labelled surprise, fear, sadness, joy, disgust, anger in neutral-talk"
    }


def test_licences_follow_from_what_is_read() -> None:
    shipped = read_recipe(RECIPES / "default.toml")
    read = sources_of(shipped).licences(asr_words=True)
    assert read["MELD: train (fitting words), dev (calibration)"] == "GPL-3.0"
    assert read["nEMO: without speaker MP0 (fitting voice), speaker MP0 (calibration)"] == "CC BY-NC-SA 4.0"
    assert [name for name in read if "Whisper" in name]
    assert set(sources_of(read_recipe(RECIPES / "emorynlp.toml")).licences(asr_words=False).values()) == {"Apache-2.0"}


def test_pseudo_tokens_need_voices() -> None:
    recipe = read_recipe(RECIPES / "mse.toml")
    with pytest.raises(AdapterError, match=r"no voices are labelled joyful.*leave out"):
        sources_of(replace(recipe, data=replace(recipe.data, dialogues="emorynlp")))


def test_data_of_another_kind_are_refused() -> None:
    recipe = read_recipe(RECIPES / "default.toml")
    with pytest.raises(AdapterError, match="dialogues are wanted, but the data set 'urdu' holds clips"):
        sources_of(replace(recipe, data=DataSpec("urdu")))


def test_labels_without_a_neutral_one_have_no_neutral_voices(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = read_recipe(RECIPES / "default.toml")
    found = sources_of(recipe).dialogues
    glad = replace(found, labels=LabelSet.of("glad", {"joy": POSITIVE, "calm": NEUTRAL}))
    monkeypatch.setattr("adapters.training.sources.find_kind", lambda *_: glad)
    assert sources_of(recipe).absent["audio"] == "glad has no label neutral"
