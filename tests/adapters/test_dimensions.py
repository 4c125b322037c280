"""Adapters for dimensions of affect: their data, training in seconds, files, and what they add to a judged turn."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adapters import recogniser
from adapters.checkpoint import dimensions, store
from adapters.checkpoint.dimensions import COVERAGE, DimensionCard
from adapters.checkpoint.store import BackboneSpec, Card
from adapters.contract import MELD_LABELS, Estimate, TurnInput, Utterance
from adapters.datasets import emobank
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Ratings
from adapters.errors import AdapterError
from adapters.features.acoustic import SPEC
from adapters.llm.backbone import Backbone
from adapters.llm.prompt import PromptSpec
from adapters.readout.head import EmotionHead, HeadShape
from adapters.training import dimensions as training
from tests.support.tiny import write_backbone

SHAPE = HeadShape(layers=(1, 3), width=64, classes=7, members=2, words_hidden=4, voice_hidden=4)
SENTIMENTS = {"good": 0.8, "bad": -0.6}
WORDS = {"happy": 4.6, "fine": 3.2, "sad": 1.6}


def table(rows: list[tuple[str, str, str, str]]) -> str:
    return "".join(f"{i},{split},{v},{a},3.0,{text}\n" for i, (split, v, a, text) in enumerate(rows))


def write_emobank(folder: Path, rows: list[tuple[str, str, str, str]], name: str = "emobank.csv") -> Path:
    folder.mkdir(parents=True)
    (folder / name).write_text(f"id,split,V,A,D,text\n{table(rows)}", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """An emotion adapter of random weights, its LLM, and an adapter for dimensions trained beside it."""
    root = tmp_path_factory.mktemp("dimensions")
    llm = write_backbone(root / "llm", hidden_size=64)
    torch.manual_seed(0)
    spec = BackboneSpec(str(llm), Backbone.load(llm, SHAPE.layers, device="cpu").fingerprint)
    store.save(
        root / "adapter", EmotionHead(SHAPE), Card("random", MELD_LABELS, SPEC, spec, PromptSpec("", 256), SHAPE)
    )
    rows = [
        (split, f"{value + number % 3 / 10}", f"{2 + number % 5 / 2}", f'"I am {word}, {number}."')
        for split, count in (("train", 40), ("dev", 12))
        for number in range(count)
        for word, value in WORDS.items()
    ]
    write_emobank(root / "data" / "emobank", rows)
    how = training.Fit(epochs=20, batch=16, learning_rate=3e-3, members=2, hidden=8)
    training.train(root / "data", root / "valence", str(root / "adapter"), 0, how)
    return root / "adapter", llm, root / "valence"


def turn(text: str = "I am happy, 3.") -> TurnInput:
    return TurnInput(Utterance("Speaker 1", text))


def test_rows_that_are_no_rated_sentence_are_refused_and_counted(tmp_path: Path) -> None:
    rows = [("train", "3.0", "2", '"Good, ""they"" said."'), ("train", "5.1", "3", "Much"), ("train", "x", "3", "What")]
    rows += [("train", "3", "nan", "No number"), ("train", "3", "3", '".."'), ("dev", "5", "1", "Other")]
    for name in ("emobank.csv", "emobank_train_dev.csv"):
        found = emobank.load(write_emobank(tmp_path / name, rows, name), "train")
        assert (found.texts, found.dimensions) == (('Good, "they" said.',), ("valence", "arousal"))
        np.testing.assert_array_equal(found.values, [[0.0, -0.5]])
        assert dict(found.refused) == {"a rating that is not between 1 and 5": 3, "no words": 1}
    with pytest.raises(AdapterError, match=r"no EmoBank at .*emobank\.csv"):
        emobank.load(tmp_path / "nowhere", "train")


def test_what_was_trained_tells_pleasant_from_unpleasant(made: tuple[Path, Path, Path]) -> None:
    model = recogniser.load(made[0], made[1], device="cpu", dtype="float32", dimensions=[made[2]])
    told = [model.scores(turn(f"I am {word}, 5.")).dimensions["valence"] for word in WORDS]
    assert told[0].value > told[1].value > told[2].value
    assert all(one.low <= one.value <= one.high for one in told)
    card = dimensions.read_card(made[2])
    assert card.about["dev"]["valence"]["mae"] < card.about["dev"]["valence"]["mae_of_the_mean"] / 2
    assert model.adapter_id.endswith(f"+{card.adapter_id}")


def test_scores_of_ones_own_are_learned_likewise(
    made: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data set of a user's with one score, sentiment, from -1 to 1."""

    def read(folder: Path, split: str) -> Ratings:
        rows = [(f"It is {word}, {number}.", value) for number in range(20) for word, value in SENTIMENTS.items()]
        texts, values = zip(*rows, strict=True)
        dimensions = ("sentiment",) if split == "train" or not (folder / "other").exists() else ("mood",)
        return Ratings(texts, dimensions, np.array(values)[:, None], Counter())

    corpus = Corpus("mine", "Mine", "CC0", Ratings, None, {"train": "", "held": ""}, read)
    monkeypatch.setattr(training, "find_kind", lambda name, kind: {"mine": corpus}[name])
    (tmp_path / "data" / "mine").mkdir(parents=True)
    how = training.Fit(epochs=30, batch=16, learning_rate=3e-3, members=2, hidden=8)
    about = training.train(tmp_path / "data", tmp_path / "out", str(made[0]), 0, how, "mine")
    assert about["dev"].keys() == {"sentiment"}
    assert about["data"] == {"Mine: train (fitting words), held (distances)": "CC0"}
    model = recogniser.load(made[0], made[1], device="cpu", dtype="float32", dimensions=[tmp_path / "out", made[2]])
    told = [model.scores(turn(f"It is {word}, 5.")).dimensions for word in SENTIMENTS]
    assert all(one.keys() == {"sentiment", "valence", "arousal"} for one in told)
    assert told[0]["sentiment"].value > told[1]["sentiment"].value
    (tmp_path / "data/mine/other").touch()
    with pytest.raises(AdapterError, match="rated in the same dimensions"):
        training.train(tmp_path / "data", tmp_path / "out", str(made[0]), 0, how, "mine")


def test_the_emotions_are_the_same_with_and_without_it(made: tuple[Path, Path, Path]) -> None:
    alone = recogniser.load(made[0], made[1], device="cpu", dtype="float32")
    beside = recogniser.load(made[0], made[1], device="cpu", dtype="float32", dimensions=[made[2]])
    with_it = beside.scores(turn())
    assert replace(with_it, dimensions={}) == alone.scores(turn())
    assert with_it.dimensions.keys() == {"valence", "arousal"}
    assert beside.scores(turn(" ")).dimensions == {}


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=80))
def test_the_distance_holds_the_share_of_held_out_turns_that_it_promises(errors: list[float]) -> None:
    (distance,) = training.within(np.array(errors)[:, None])
    inside = sum(abs(error) <= distance for error in errors)
    assert inside >= COVERAGE * len(errors)


@pytest.mark.parametrize(("value", "low", "high"), [(0.5, 0.6, 0.7), (1.1, 1.0, 1.2), (float("nan"), -1.0, 1.0)])
def test_what_is_no_interval_around_a_value_is_refused(value: float, low: float, high: float) -> None:
    with pytest.raises(ValueError, match="a value within an interval"):
        Estimate(value, low, high)


def test_an_adapter_that_reads_other_states_is_refused_in_one_line(
    made: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    other = replace(SHAPE, layers=(0, 2))
    card = store.read_card(made[0])
    store.save(tmp_path / "other", EmotionHead(other), replace(card, shape=other, name="other"))
    with pytest.raises(AdapterError, match=r"valence-arousal reads layers 1, 3 of .*, but other reads layers 0, 2 of"):
        recogniser.load(tmp_path / "other", made[1], device="cpu", dimensions=[made[2]])
    with pytest.raises(AdapterError, match="two adapters tell valence"):
        recogniser.load(made[0], made[1], device="cpu", dimensions=[made[2], made[2]])


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"format": 5}, "format"),
        ({"members": 0}, "members"),
        ({"width": 10**9}, "width"),
        ({"dimensions": []}, "dimensions"),
        ({"dimensions": [{"name": "\x1b[2J", "low": "", "high": "", "within": 1}]}, "name"),
        ({"surplus": 1}, "surplus"),
        ({"weights_sha256": "0" * 64}, "is damaged"),
        ({"hidden": 7}, "its card wants"),
    ],
)
def test_a_damaged_card_is_refused(
    made: tuple[Path, Path, Path], tmp_path: Path, change: dict[str, object], where: str
) -> None:
    folder = tmp_path / "valence"
    folder.mkdir()
    (folder / "adapter.safetensors").write_bytes((made[2] / "adapter.safetensors").read_bytes())
    raw = json.loads((made[2] / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(raw | change))
    with pytest.raises(AdapterError, match=where) as refusal:
        dimensions.load(folder)
    assert str(refusal.value).startswith(str(folder))
    assert "\n" not in str(refusal.value)


def test_an_emotion_adapter_is_no_adapter_for_dimensions(made: tuple[Path, Path, Path]) -> None:
    with pytest.raises(AdapterError, match="is not a card of an adapter for dimensions"):
        dimensions.load(made[0])
    with pytest.raises(AdapterError, match=r"tells dimensions, no emotions: name it in recognise\.dimensions"):
        recogniser.load(made[2], made[1], device="cpu")


def test_weights_that_are_no_numbers_are_not_saved(made: tuple[Path, Path, Path], tmp_path: Path) -> None:
    head, card = dimensions.load(made[2])
    head.ensemble.bias.fill_(float("nan"))
    with pytest.raises(AdapterError, match=r"nothing is saved to .*: weight ensemble\.bias is not finite"):
        dimensions.save(tmp_path / "again", head, card)
    assert not (tmp_path / "again").exists()


def test_what_is_saved_is_what_is_read(made: tuple[Path, Path, Path], tmp_path: Path) -> None:
    head, card = dimensions.load(made[2])
    again = dimensions.save(tmp_path / "again", head, card)
    assert isinstance(again, DimensionCard)
    assert again == card
