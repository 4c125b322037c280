"""The evaluation command: one JSON with the same keys for any split, and errors of one line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import Result

from adapters.assets import asset_folder
from adapters.checkpoint import store
from adapters.checkpoint.conformal import CASES, EmotionSets
from adapters.checkpoint.store import BackboneSpec, Card
from adapters.contract import MELD_LABELS
from adapters.features.acoustic import SPEC
from adapters.llm.backbone import Backbone
from adapters.llm.prompt import PromptSpec
from adapters.readout.head import EmotionHead, HeadShape
from tests.support.program import adapters
from tests.support.tiny import WIDTH, write_backbone

SHAPE = HeadShape(layers=(1, 3), members=2, width=WIDTH, classes=7, words_hidden=4, voice_hidden=4)
KEYS = {
    *("dataset", "split", "refused", "n", "weighted_f1", "macro_f1", "accuracy", "uar", "ece", "brier"),
    *("per_class_f1", "risk_at_coverage", "abstained", "neutral_or_abstained", "predicted", "adapter", "backbone"),
    *("adapter_parameters", "parameters", "seconds", "ms_per_turn", "peak_memory_mib"),
    *("sets_target_coverage", "sets_coverage", "sets_coverage_per_class", "sets_mean_size"),
}
HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("evaluate")
    llm = write_backbone(root / "llm")
    torch.manual_seed(0)
    spec = BackboneSpec("tiny", Backbone.load(llm, SHAPE.layers, device="cpu").fingerprint)
    sets = EmotionSets(0.9, {case: (1.0,) * 7 for case in CASES})
    card = Card("random", MELD_LABELS, SPEC, spec, PromptSpec("", 256), SHAPE, about={"parameters": 5}, sets=sets)
    store.save(root / "adapter", EmotionHead(SHAPE), card)
    return ["--checkpoint", str(root / "adapter"), "--backbone", str(llm), "--dtype", "float32"]


@pytest.fixture
def meld(tmp_path: Path) -> Path:
    rows = [f"{n},Oh my {name}!,Ross,{name},neutral,0,{n},1,1,0,0" for n, name in enumerate(MELD_LABELS.labels)]
    (tmp_path / "meld").mkdir()
    for split in ("dev", "test"):
        text = "\n".join([HEADER, *rows, "9,Hm.,Ross,bored,neutral,0,9,1,1,0,0"])
        (tmp_path / "meld" / f"{split}_sent_emo.csv").write_text(text, encoding="utf-8")
    return tmp_path


def run(*words: str) -> Result:
    return adapters("evaluate", *words)


def test_any_split_is_read_the_same_way(meld: Path, options: list[str]) -> None:
    results = [json.loads(run("--data", str(meld), "--split", split, *options).stdout) for split in ("dev", "test")]
    assert [result["split"] for result in results] == ["dev", "test"]
    for result in results:
        assert result.keys() == KEYS
        assert result["n"] == 7
        assert result["refused"] == {"unknown emotion 'bored'": 1}
        assert list(result["per_class_f1"]) == list(result["predicted"]) == list(MELD_LABELS.labels)
        assert result["parameters"] == sum(value.numel() for value in EmotionHead(SHAPE).parameters())
        assert result["sets_coverage"] == 1.0
        assert result["sets_mean_size"] == 7
    assert results[0]["weighted_f1"] == results[1]["weighted_f1"]


def test_the_folder_of_the_set_itself_will_do(meld: Path, options: list[str]) -> None:
    assert json.loads(run("--data", str(meld / "meld"), *options).stdout)["n"] == 7


def test_abstaining_is_counted(meld: Path, options: list[str]) -> None:
    result = json.loads(run("--data", str(meld), "--abstain-below", "1", *options).stdout)
    assert result["abstained"] == result["neutral_or_abstained"] == 1.0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split", "train"], r"train_sent_emo\.csv"),
        (["--dataset", "mled"], "unknown data set 'mled': take cherma, dailydialog, emobank"),
        (["--dataset", "emorynlp"], "EmoryNLP dev split"),
        (["--dataset", "ravdess", "--split", "test"], "ravdess has no split 'test': take train, dev, all"),
        (["--checkpoint", "nowhere"], "no adapter at nowhere: card.json is missing; name default"),
        (["--dtype", "int3"], "unknown number format"),
        (["--abstain-below", "2"], "abstain_below is 2"),
    ],
)
def test_errors_are_one_line_and_not_a_success(meld: Path, options: list[str], words: list[str], message: str) -> None:
    result = run("--data", str(meld), *options, *words)
    assert result.exit_code == 1
    assert not result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert message.replace("\\", "") in line


def test_ratings_are_no_emotions(meld: Path, options: list[str]) -> None:
    (meld / "emobank.csv").write_text("id,split,V,A,D,text\n1,dev,3,3,3,Hello.\n", encoding="utf-8")
    result = run("--data", str(meld), "--dataset", "emobank", "--split", "dev", *options)
    assert result.exit_code == 1
    assert "emobank holds ratings, no emotions: python -m adapters dimensions learns them" in result.stderr


def test_labels_of_another_set_are_refused(meld: Path, options: list[str]) -> None:
    row = "Hi.,['Ross'],Mad,1,1,1,15,0,0"
    header = "Utterance,Speaker,Emotion,Scene_ID,Utterance_ID,Season,Episode,Start_Time,End_Time"
    (meld / "emorynlp_test_final.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    result = run("--data", str(meld), "--dataset", "emorynlp", "--split", "test", *options)
    assert result.exit_code == 1
    assert "but emorynlp is labelled with neutral, joyful" in result.stderr
    assert "; train one with a recipe that names the data set" in result.stderr


@pytest.mark.models
def test_pictures_are_judged_by_the_face_alone(meld: Path, options: list[str]) -> None:
    if not asset_folder("mini-xception-fer").is_dir():
        pytest.skip("no weights: pull mini-xception-fer")
    faces = np.random.default_rng(0).integers(0, 256, size=(14, 48, 48), dtype=np.uint8)
    (meld / "fer2013").mkdir()
    np.savez(meld / "fer2013" / "PublicTest.npz", images=faces, labels=np.arange(14) % 7)
    result = run("--data", str(meld), "--dataset", "fer2013", "--split", "PublicTest", *options)
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures.keys() == KEYS
    assert (figures["n"], figures["abstained"]) == (14, 1.0)  # this adapter reads no faces
