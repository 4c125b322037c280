"""An adapter in the paper's own layout as a recogniser of live turns."""

import json
import logging
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from adapters import recogniser
from adapters.checkpoint.conformal import EmotionSets
from adapters.contract import Absent, AdapterError, Features, Recogniser, RecogniserOptions, TurnInput, Utterance
from adapters.features import acoustic, visual
from adapters.mse.encoders import SequenceShape
from adapters.published.checkpoint import CARD, Calibration, MseCard, save, verify
from adapters.published.data import load as load_turns
from adapters.published.inputs import FRAMES, LIVE, PROCESSED, TABLES, Turn, batch_of, text_of, thinned
from adapters.published.model import FrozenLlm, fresh, load_llm, shape_for
from adapters.published.recogniser import PublishedRecogniser, load
from adapters.published.sets import SETS
from tests.support.corpora import StillEncoder, look, write_corpora
from tests.support.program import adapters
from tests.support.tiny import WIDTH, write_backbone

CASES = "words", "words and voice", "words and face", "words, voice and face"
SAID = Utterance("Ann", "I am so glad!")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_backbone(tmp_path_factory.mktemp("llm"), hidden_size=WIDTH * 8)


@pytest.fixture(scope="module")
def llm(place: Path) -> FrozenLlm:
    return load_llm(str(place), "float32", "cpu")


def write(folder: Path, llm: FrozenLlm, source: str = LIVE, dataset: str = "meld", **changes: Any) -> Path:
    """An adapter that was never trained."""
    live = source == LIVE
    widths = (acoustic.SPEC.dim, visual.SPEC.dim) if live else (FRAMES, FRAMES)
    shape = replace(shape_for("meld-2048", llm, widths), live=live)
    specs = (acoustic.SPEC, visual.SPEC) if live else (None, None)
    sets = EmotionSets(0.9, dict.fromkeys(CASES, (0.9,) * 7))
    card = MseCard(dataset, source, llm.spec, shape, *specs, Calibration(2.0, sets))
    save(folder, fresh(shape, seed=0), replace(card, **changes))
    return folder


def options(folder: Path, **changes: Any) -> RecogniserOptions:
    return RecogniserOptions(str(folder), device="cpu", **changes)


@pytest.fixture(scope="module")
def model(llm: FrozenLlm, tmp_path_factory: pytest.TempPathFactory) -> PublishedRecogniser:
    return load(write(tmp_path_factory.mktemp("adapter"), llm), device="cpu", dtype="float32")


def voice(seed: int = 0, seconds: float = 1.5) -> Features:
    frames = np.random.default_rng(seed).normal(size=(round(seconds * 50), acoustic.SPEC.dim)).astype(np.float32)
    return Features(acoustic.SPEC, frames)


def face(seed: int = 0) -> Features:
    return Features(visual.SPEC, np.random.default_rng(seed).random((7, visual.SPEC.dim), np.float32))


def test_the_tracker_gets_a_recogniser_that_keeps_nothing(llm: FrozenLlm, tmp_path: Path) -> None:
    loaded = recogniser.from_options(options(write(tmp_path, llm)))
    assert isinstance(loaded, Recogniser)
    assert isinstance(loaded, PublishedRecogniser)
    assert loaded.adapter_id.startswith("mse-meld-")
    assert loaded.feature_specs == {"audio": acoustic.SPEC, "video": visual.SPEC}
    assert loaded.backbone_id == f"{Path(llm.name).name}-{llm.spec.fingerprint[:8]}"  # and not where it lies
    state = loaded.start()
    scores, after = loaded.follow(TurnInput(SAID, (), voice(), face()), state)
    assert after is state
    assert sum(scores.probabilities) == pytest.approx(1.0)
    assert scores.modalities == {"text": "used", "audio": "used", "video": "used"}
    assert loaded.count_tokens(SAID) > 0


def test_scores_are_those_of_the_whole_llm_at_the_cards_temperature(model: PublishedRecogniser, llm: FrozenLlm) -> None:
    history = tuple(Utterance(name, f"Well, {name}.") for name in "abcdefgh")
    scores = model.scores(TurnInput(SAID, history, voice(), face()))
    lines = [*history, SAID]
    assert text_of(lines).count("\n") == 5
    turn = Turn(text_of(lines), thinned(voice().values), torch.from_numpy(face().values))
    beside = llm.beside(fresh(model.card.shape, seed=0).train(False), SETS["meld"].task)
    expected = (beside.scores(batch_of([turn]))[0].double() / 2.0).softmax(-1)
    torch.testing.assert_close(torch.tensor(scores.probabilities, dtype=torch.double), expected)


def test_each_modality_is_heard_and_an_absent_one_is_not_zeros(model: PublishedRecogniser) -> None:
    gone = Absent("camera off")
    whole = model.scores(TurnInput(SAID, (), voice(), face())).probabilities
    assert model.scores(TurnInput(SAID, (), voice(1), face())).probabilities != whole
    assert model.scores(TurnInput(SAID, (), voice(), face(1))).probabilities != whole
    blind = model.scores(TurnInput(SAID, (), voice(), gone))
    assert blind.modalities["video"] == "camera off"
    zeros = Features(visual.SPEC, np.zeros((7, visual.SPEC.dim), np.float32))
    assert model.scores(TurnInput(SAID, (), voice(), zeros)).probabilities != blind.probabilities
    words = model.scores(TurnInput(SAID, (), Absent("turn under 0.8 s"), gone))
    assert words.modalities == {"text": "used", "audio": "turn under 0.8 s", "video": "camera off"}
    assert set(model.emotions(words)) <= set(model.labels.labels)


def test_frames_that_are_no_numbers_are_left_out_with_a_reason(model: PublishedRecogniser) -> None:
    broken = Features(acoustic.SPEC, np.full((9, acoustic.SPEC.dim), np.nan, np.float32))
    scores = model.scores(TurnInput(SAID, (), broken))
    assert scores.modalities["audio"] == "no usable features"
    other = Features(replace(acoustic.SPEC, version=99), voice().values)
    with pytest.raises(AdapterError, match=r"was trained on .* but was given"):
        model.scores(TurnInput(SAID, (), other))


def test_without_words_it_abstains(model: PublishedRecogniser) -> None:
    scores = model.scores(TurnInput(Utterance("Ann", " "), (), voice(), face()))
    assert scores.abstained == "nothing to judge by: no words, and this adapter reads voice and face beside words only"
    assert len(set(scores.probabilities)) == 1
    assert set(model.emotions(scores)) == set(model.labels.labels)


def test_an_adapter_of_words_alone_reads_no_features(llm: FrozenLlm, tmp_path: Path) -> None:
    loaded = load(write(tmp_path, llm, TABLES), device="cpu")
    assert loaded.feature_specs == {}
    heard = loaded.scores(TurnInput(SAID, (), voice(), face()))
    assert heard.modalities["audio"] == "not read by this adapter"
    assert heard.probabilities == loaded.scores(TurnInput(SAID)).probabilities


def test_a_voice_is_averaged_over_fifths_of_a_second() -> None:
    values = np.arange(25, dtype=np.float32)[:, None].repeat(3, 1)
    assert thinned(values)[:, 0].tolist() == [4.5, 14.5, 22.0]
    assert thinned(values[:0]).shape == (0, 3)


def test_the_authors_own_features_are_refused_in_one_line(llm: FrozenLlm, tmp_path: Path) -> None:
    with pytest.raises(AdapterError) as told:
        recogniser.from_options(options(write(tmp_path, llm, PROCESSED)))
    assert str(told.value) == (
        f"{verify(tmp_path).adapter_id} reads the authors' features of meld (64 a voice frame, 64 a face frame), and "
        f"live there are {acoustic.SPEC} and {visual.SPEC}: train it with --live"
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"calibration": None}, "was trained without calibration"),
        ({"calibration": Calibration(1.0, EmotionSets(0.9, {"words": (0.9,) * 7}))}, "was trained without calibration"),
        ({"dataset": "cherma"}, "fits no live turns: its data set is cherma"),
        ({"audio": replace(acoustic.SPEC, version=99)}, "this version extracts"),
        ({"calibration": Calibration(float("inf"), EmotionSets(0.9, {}))}, "a temperature of inf"),
    ],
)
def test_what_cannot_judge_live_turns_is_refused(
    changes: dict[str, Any], why: str, llm: FrozenLlm, tmp_path: Path
) -> None:
    with pytest.raises(AdapterError, match=why):
        load(write(tmp_path, llm, **changes), device="cpu")


def test_a_card_that_claims_other_sizes_is_refused(llm: FrozenLlm, tmp_path: Path) -> None:
    folder = write(tmp_path, llm)
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    card["shape"]["audio"]["dim"] = 3
    (folder / CARD).write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(AdapterError, match="its card wants"):
        load(folder, device="cpu")
    narrow = shape_for("meld-2048", llm, (3, 3))
    with pytest.raises(AdapterError, match="fits no live turns"):
        load(write_narrow(tmp_path / "narrow", llm, narrow.audio), device="cpu")


def write_narrow(folder: Path, llm: FrozenLlm, audio: SequenceShape) -> Path:
    """An adapter whose card names features of another width than its weights have."""
    shape = replace(shape_for("meld-2048", llm, (acoustic.SPEC.dim, visual.SPEC.dim)), audio=audio, live=True)
    sets = EmotionSets(0.9, dict.fromkeys(CASES, (0.9,) * 7))
    card = MseCard("meld", LIVE, llm.spec, shape, acoustic.SPEC, visual.SPEC, Calibration(1.0, sets))
    save(folder, fresh(shape, seed=0), card)
    return folder


def test_where_only_the_trackers_own_layout_is_read_it_is_said_what_it_is(llm: FrozenLlm, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="has the paper's layout"):
        recogniser.load(write(tmp_path, llm), device="cpu")


def test_dimensions_are_not_told_beside_it(llm: FrozenLlm, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"leave out recognise\.dimensions"):
        recogniser.from_options(options(write(tmp_path, llm), dimensions=("valence-arousal",)))


def test_what_a_turn_costs_is_said_when_it_is_loaded(
    llm: FrozenLlm, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        recogniser.from_options(options(write(tmp_path, llm)))
    (line,) = (record.getMessage() for record in caplog.records if record.name == "adapters.recogniser")
    assert "every turn is read from the beginning" in line
    assert line.endswith("ms for a turn here")


def test_from_tables_to_a_live_judgement_by_one_command(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOTION_TRACKER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("adapters.published.simulated.SpeechEncoder", StillEncoder)
    monkeypatch.setattr("adapters.published.simulated.FaceEncoder", lambda: look)
    data = write_corpora(tmp_path / "data")
    words = ("--data", data, "--backbone", place, "--dtype", "float32", "--epochs", 1, "--live")
    result = adapters("published", "train", *words, "--dialogues", 3, "--dev-dialogues", 3, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    about = json.loads(result.stdout)
    assert (about["source"], set(about["calibrated"])) == (LIVE, set(CASES))
    turns = load_turns("meld", data, "valid", live=True).turns
    assert {(len(turn.audio) > 0, len(turn.video) > 0) for turn in turns} == set(product((True, False), repeat=2))
    loaded = recogniser.from_options(options(tmp_path / "out"))
    scores = loaded.scores(TurnInput(SAID, (), voice(), face()))
    assert scores.modalities == {"text": "used", "audio": "used", "video": "used"}
    again = adapters("published", "evaluate", tmp_path / "out", "--data", data, "--dtype", "float32")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["source"] == LIVE


def test_live_features_are_simulated_for_meld_alone(tmp_path: Path) -> None:
    result = adapters("published", "train", "--data", tmp_path, "--dataset", "mosei", "--live")
    assert result.exit_code == 1
    assert "live features are simulated for meld alone, not for mosei: leave out --live" in result.stderr


def test_another_llm_is_named(llm: FrozenLlm, tmp_path: Path) -> None:
    folder = write(tmp_path / "adapter", llm)
    other = write_backbone(tmp_path / "other", seed=1, hidden_size=WIDTH * 8)
    with pytest.raises(AdapterError, match="was trained beside"):
        load(folder, other, "cpu")


def test_an_abstention_is_told_and_a_threshold_must_be_a_confidence(llm: FrozenLlm, tmp_path: Path) -> None:
    folder = write(tmp_path, llm)
    scores = load(folder, device="cpu", abstain_below=1.0).scores(TurnInput(SAID))
    assert scores.abstained is not None
    for value in (1.5, float("nan")):
        with pytest.raises(AdapterError, match="abstain_below"):
            load(folder, device="cpu", abstain_below=value)


def test_the_llm_writes_the_same_with_an_adapter_beside_it_and_after(
    place: Path, llm: FrozenLlm, tmp_path: Path
) -> None:
    """Its own generations, before it is loaded with an adapter, while it judges, and after."""

    def generated(model: Any) -> list[int]:
        tokens = AutoTokenizer.from_pretrained(place)("Once upon a time", return_tensors="pt")
        found: list[int] = model.generate(**tokens, max_new_tokens=20, do_sample=False)[0].tolist()
        return found

    before = generated(AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32))
    loaded = load(write(tmp_path, llm), device="cpu", dtype="float32")
    for seed in range(3):
        loaded.scores(TurnInput(SAID, (), voice(seed), face(seed)))
        assert generated(loaded._model._llm) == before
    del loaded
    assert generated(AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)) == before
