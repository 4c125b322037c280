"""Training from made-up data to a checkpoint that can be loaded, in seconds."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from adapters import recogniser
from adapters.contract import MELD_LABELS, TurnInput, Utterance
from adapters.datasets import fer2013
from adapters.errors import AdapterError
from adapters.llm.backbone import Backbone
from adapters.readout.ensemble import Ensemble, mean_log_probs
from adapters.readout.fusion import LateFusion
from adapters.readout.head import EmotionHead
from adapters.readout.voice import VoiceClassifier
from adapters.training.faces import face_rows
from adapters.training.feature_cache import VoiceRows, WordRows, voice_rows
from adapters.training.fit import LearningCurves, best_epoch, fit_ensemble, log_prior
from adapters.training.fusion import CONFLICTS, DRAWS, evaluate_cases, fit_fusion
from adapters.training.modality_scores import TurnScores, VoicePool, cross_fitted, voice_pool
from adapters.training.recipe import RECIPES, FitSpec, LoraSpec, Recipe, read_recipe, shipped_recipe
from adapters.training.runs import begin, finished, summarise
from adapters.training.simulate import CONFLICT, draw
from adapters.training.sources import Encoders, sources_of
from adapters.training.train import _together, fit_head, train, train_seeds
from adapters.training.voices import fit_voice
from tests.support.corpora import StillEncoder, look, misheard, write_corpora
from tests.support.program import adapters
from tests.support.tiny import write_backbone

FIT = FitSpec(
    epochs=20, batch=16, learning_rate=3e-2, weight_decay=0.0, label_smoothing=0.0, dropout=(0.0, 0.0), adjust=1.0
)


def encoders(encoder: StillEncoder | None = None) -> Encoders:
    return Encoders(lambda: encoder or StillEncoder(), lambda: look)


def all_voices(data: Path, encoder: StillEncoder) -> VoiceRows:
    sources = sources_of(read_recipe(RECIPES / "default.toml"))
    return voice_rows(sources.voices, sources.labels, data, lambda: encoder)


@pytest.fixture(params=["default", "mse"])
def recipe(tmp_path: Path, request: pytest.FixtureRequest) -> Recipe:
    sizes = {"layers": (1, 2), "members": 2, "words_hidden": 4, "voice_hidden": 4, "max_tokens": 64}
    sizes |= {"face_hidden": 4, "face_turns": 10}
    shipped = read_recipe(RECIPES / f"{request.param}.toml")
    pseudo = replace(shipped.pseudo, epochs=1) if shipped.pseudo else None
    backbone = str(write_backbone(tmp_path / "llm", hidden_size=64))
    face = FIT if shipped.face else None
    sizes |= {"lora": None, "data": replace(shipped.data, also=(), faces="fer2013")}
    return replace(shipped, backbone=backbone, dtype="float32", words=FIT, voice=FIT, face=face, pseudo=pseudo, **sizes)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMOTION_TRACKER_CACHE", str(tmp_path / "cache"))
    return write_corpora(tmp_path / "data")


def test_from_data_to_judgement(data: Path, recipe: Recipe, tmp_path: Path) -> None:
    about = train(recipe, data, tmp_path / "out", seed=0, encoders=encoders())
    heard = {"words", "words and voice (simulated)", "voice (simulated)"}
    assert heard < about["dev"].keys()
    assert ("words, voice and face (simulated)" in about["dev"]) == (recipe.face is not None)
    assert any("FER2013" in name for name in about["data"]) == (recipe.face is not None)
    assert about["dev"]["words"]["accuracy"] > 0.9  # dev is train here
    judge = recogniser.load(tmp_path / "out", recipe.backbone, device="cpu", dtype="float32")
    said = [Utterance("Ann", f"{word}!") for word in ("neutral", "surprise", "fear", "sadness", "joy")]
    scores = judge.scores(TurnInput(said[-1], tuple(said[:-1])))  # as it stood in the first dialogue
    assert scores.label == "joy"
    assert judge.card.sets is not None
    assert judge.card.sets.coverage == 0.9
    assert judge.emotions(scores)[0] == "joy"


INSIDE = LoraSpec(2, 1, 4, 60, 1e-3, 1e-3, 0.0)


@pytest.mark.parametrize("recipe", ["default"], indirect=True)
def test_words_are_learned_inside_the_llm(data: Path, recipe: Recipe, tmp_path: Path) -> None:
    """With further dialogues and words as heard; the second run takes what the first has kept."""
    inside = replace(recipe, lora=INSIDE, asr_words=0.7, data=replace(recipe.data, also=("goemotions",)))
    about = train(inside, data, tmp_path / "out", seed=0, encoders=encoders())
    assert any("GoEmotions" in name for name in about["data"])
    assert about["dev"]["words"]["accuracy"] > 0.9
    judge = recogniser.load(tmp_path / "out", recipe.backbone, device="cpu", dtype="float32")
    said = Utterance("Ann", "neutral!")
    assert judge.scores(TurnInput(said)).label == "neutral"
    assert judge.card.backbone.lora == judge._backbone.lora != ""
    assert judge.card.backbone.fingerprint == Backbone.load(recipe.backbone, (1, 2), dtype="float32").fingerprint
    again = train(inside, data, tmp_path / "again", seed=0, encoders=encoders())
    assert again["dev"]["words"]["weighted_f1"] == about["dev"]["words"]["weighted_f1"]
    first, second = (load_file(tmp_path / out / "adapter.safetensors") for out in ("out", "again"))
    learned = [name for name in first if name.startswith(("lora.", "words."))]
    assert learned
    assert all(torch.equal(first[name], second[name]) for name in learned)


@pytest.mark.parametrize("recipe", ["default"], indirect=True)
def test_an_adapter_whose_low_rank_part_is_anothers_is_refused(data: Path, recipe: Recipe, tmp_path: Path) -> None:
    train(replace(recipe, lora=INSIDE), data, tmp_path / "out", seed=0, encoders=encoders())
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    card["backbone"]["lora"] = "0" * 16
    (tmp_path / "out" / "card.json").write_text(json.dumps(card))
    with pytest.raises(AdapterError, match="low-rank adapters"):
        recogniser.load(tmp_path / "out", recipe.backbone, device="cpu", dtype="float32")


def judged_as_heard(out: Path, recipe: Recipe) -> float:
    """The share of turns that are judged right by words as they were heard."""
    judge = recogniser.load(out, recipe.backbone, device="cpu", dtype="float32")
    emotions = MELD_LABELS.labels
    said = [Utterance("Ann", f"{misheard(word)}!") for word in emotions]
    turns = [TurnInput(one, tuple(said[:index])) for index, one in enumerate(said)]
    return sum(judge.scores(turn).label == wanted for turn, wanted in zip(turns, emotions, strict=True)) / len(turns)


@pytest.mark.parametrize("recipe", ["default"], indirect=True)
def test_words_as_heard_are_learned_where_the_recipe_says_so(data: Path, recipe: Recipe, tmp_path: Path) -> None:
    right = {}
    for weight in (0.0, 0.7):
        about = train(
            replace(recipe, asr_words=weight, soft_targets=0.0),
            data,
            tmp_path / str(weight),
            seed=0,
            encoders=encoders(),
        )
        assert any("Whisper" in name for name in about["data"] if "MELD" in name) == bool(weight)
        right[weight] = judged_as_heard(tmp_path / str(weight), recipe)
    assert right[0.0] < right[0.7] == 1.0


@pytest.mark.parametrize("recipe", ["default"], indirect=True)
def test_without_words_as_heard_the_answer_says_how_to_make_them(data: Path, recipe: Recipe, tmp_path: Path) -> None:
    shutil.rmtree(data / "asr")
    with pytest.raises(
        AdapterError, match=r"ASR words.*tracker\.bench\.asr_copy --data .* --split train .* asr_words = 0"
    ):
        train(replace(recipe, asr_words=1.0), data, tmp_path / "out", seed=0, encoders=encoders())


@pytest.mark.parametrize("recipe", ["default"], indirect=True)
@pytest.mark.parametrize("altered", [lambda lines: lines[:7], lambda lines: [*lines[21:], *lines[5:21], *lines[:5]]])
def test_words_as_heard_are_of_the_dialogues_that_are_read(
    data: Path, recipe: Recipe, tmp_path: Path, altered: Callable[[list[str]], list[str]]
) -> None:
    table = data / "asr/meld/train_sent_emo.csv"
    lines = table.read_text("utf-8").splitlines()
    table.write_text("\n".join([lines[0], *altered(lines[1:])]), "utf-8")
    with pytest.raises(AdapterError, match="is of other dialogues"):
        train(recipe, data, tmp_path / "out", seed=0, encoders=encoders())


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("asr_words", "-0.5", "asr_words: must be greater than or equal to 0"),
        ("asr_words", "inf", "asr_words: must be a finite number"),
        ("asr_words", '"a lot"', "asr_words: must be a valid number"),
        ("soft_targets", "1.5", "soft_targets: must be less than or equal to 1"),
        ("soft_targets", "true", "soft_targets: must be a valid number"),
        ("epochs", "0", r"words\.epochs: must be greater"),
        ("batch", "0", r"words\.batch: must be greater"),
        ("learning_rate", "nan", r"words\.learning_rate: must be a finite number"),
        ("label_smoothing", "3.0", r"words\.label_smoothing: must be less"),
        ("dropout", "0.5", r"words\.dropout: must be a valid array"),
        ("dropout", "[2.0, 0.5]", r"words\.dropout\.0: must be less"),
        ("layers", "[]", "layers: Tuple should have at least 1 item"),
        ("layers", "[-1, 17]", r"layers\.0: must be greater"),
        ("members", "0", "members: must be greater"),
        ("face_turns", "4", "face_turns: must be greater"),
        ("backbone", "3", "backbone: must be a valid string"),
        ("members", "", "is no TOML"),
        ("members", "[" * 5000 + "]" * 5000, "is no TOML"),
    ],
)
def test_an_odd_value_in_a_recipe_is_told(tmp_path: Path, key: str, value: str, said: str) -> None:
    text, changed = re.subn(
        rf"(?m)^{key} = .*$", f"{key} = {value}", (RECIPES / "default.toml").read_text("utf-8"), count=1
    )
    assert changed
    (tmp_path / "odd.toml").write_text(text, "utf-8")
    with pytest.raises(AdapterError, match=rf"odd\.toml.* {said}"):
        read_recipe(tmp_path / "odd.toml")


def test_a_recipe_in_another_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_bytes((RECIPES / "default.toml").read_bytes() + b"# \xe9\n")
    with pytest.raises(AdapterError, match="is no TOML"):
        read_recipe(tmp_path / "odd.toml")


def test_a_recipe_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "marked.toml").write_text((RECIPES / "default.toml").read_text("utf-8"), "utf-8-sig")
    assert read_recipe(tmp_path / "marked.toml") == read_recipe(RECIPES / "default.toml")


@pytest.mark.parametrize("recipe", ["mse"], indirect=True)
def test_what_pseudo_tokens_do_can_be_looked_at(
    data: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(recipe, data, tmp_path / "out", seed=0, encoders=encoders())
    for name, value in (("SpeechEncoder", StillEncoder), ("FaceEncoder", lambda: look), ("_FACES", 10)):
        monkeypatch.setattr(f"adapters.evaluation.probe_pseudo.{name}", value)
    result = adapters("probe-pseudo", "--data", data, "--checkpoint", tmp_path / "out", "--dialogues", 2)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["turns"] == 14
    assert sum(told["attention"].values()) == pytest.approx(1.0, abs=1e-3)
    assert all(share > 0 for share in told["attention"].values())
    assert set(told["moved"]) == {"other_voice", "other_face", "neither"}
    assert all(0 <= share <= 1 for row in told["moved"].values() for share in row.values())
    assert all(told["gradients"][part]["gradient"] > 0 for part in ("voice", "face", "mixer", "fusion", "question"))
    assert told["gradients"]["no_voice"]["gradient"] == 0  # every turn has a voice here
    assert "train one with --method mse" in adapters("probe-pseudo", "--data", data, "--checkpoint", "default").stderr


def test_scores_for_pseudo_tokens_are_by_classifiers_that_do_not_know_the_speaker(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = all_voices(data, StillEncoder())
    known: list[set[str]] = []
    asked: list[set[str]] = []

    def watched_fit(classifier: VoiceClassifier, some: VoiceRows, spec: FitSpec, seed: int) -> None:
        known.append(set(some.speakers.tolist()))
        fit_voice(classifier, some, spec, seed)

    def watched_pool(classifier: VoiceClassifier, some: VoiceRows, seed: int) -> VoicePool:
        asked.append(set(some.speakers.tolist()))
        return voice_pool(classifier, some, seed)

    monkeypatch.setattr("adapters.training.modality_scores.fit_voice", watched_fit)
    monkeypatch.setattr("adapters.training.modality_scores.voice_pool", watched_pool)
    classifier = VoiceClassifier(4, 2, 7, (0.0, 0.0))
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    pool = cross_fitted(classifier, rows, replace(FIT, epochs=1), 0)
    assert all(value.equal(before[name]) for name, value in classifier.state_dict().items())
    assert [one & other for one, other in zip(known, asked, strict=True)] == [set()] * 3
    assert set().union(*asked) == set(rows.speakers.tolist())
    assert pool.labels.equal(rows.labels)
    torch.testing.assert_close(pool.scores.exp().sum(-1), torch.ones(pool.scores.shape[:2]))


def test_a_recipe_that_ships_goes_by_its_name(tmp_path: Path) -> None:
    assert read_recipe(shipped_recipe("mse")).pseudo is not None
    with pytest.raises(AdapterError, match="no recipe is called 'mise': take commercial, default, emorynlp"):
        shipped_recipe("mise")
    result = adapters("train", "--method", "mise", "--data", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 1


@pytest.mark.parametrize("recipe", ["default"], indirect=True)
def test_the_first_dialogues_alone_can_be_trained_on(data: Path, recipe: Recipe, tmp_path: Path) -> None:
    some = train(recipe, data, tmp_path / "some", seed=0, encoders=encoders(), dialogues=2)
    assert some["dialogues"] == 2
    again = train_seeds(recipe, data, tmp_path / "seeds", [0], encoders(), dialogues=2)
    kept = (tmp_path / "seeds/seed-0/adapter.safetensors").read_bytes()
    assert kept == (tmp_path / "some/adapter.safetensors").read_bytes()
    assert train_seeds(recipe, data, tmp_path / "seeds", [0], encoders(), dialogues=2) == again
    train_seeds(recipe, data, tmp_path / "seeds", [0], encoders())
    assert (tmp_path / "seeds/seed-0/adapter.safetensors").read_bytes() != kept


def test_pseudo_tokens_are_not_trained_on_words_as_heard(tmp_path: Path) -> None:
    path = tmp_path / "both.toml"
    path.write_text("asr_words = 0.7\n" + (RECIPES / "mse.toml").read_text("utf-8"), "utf-8")
    with pytest.raises(AdapterError, match="leave out asr_words"):
        read_recipe(path)


def test_a_turn_and_what_was_heard_of_it_are_of_one_dialogue() -> None:
    """Or teachers would see the turn's dialogue through its other copy."""
    written = WordRows(torch.zeros(3, 1, 2, 4), torch.tensor([0, 1, 2]), torch.tensor([0, 0, 5]), MELD_LABELS)
    heard = replace(written, states=torch.ones(3, 1, 2, 4))
    inputs, labels, weights, dialogues = _together([written, written], heard, 0.7)
    assert labels.tolist() == [0, 1, 2] * 3
    assert dialogues.tolist() == [0, 0, 5] * 3
    torch.testing.assert_close(weights, torch.tensor([1.0] * 6 + [0.7] * 3))
    assert inputs[:, 0].tolist() == [0.0] * 6 + [1.0] * 3


@pytest.mark.parametrize("recipe", ["default"], indirect=True)
def test_figures_are_of_a_draw_that_no_weight_was_fitted_to(
    data: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[TurnScores] = []
    judged: list[TurnScores] = []

    def watched_fit(
        fusion: LateFusion,
        drawn: Sequence[TurnScores],
        labels: torch.Tensor,
        conflicting: Sequence[TurnScores],
    ) -> None:
        fitted.extend((*drawn, *conflicting))
        fit_fusion(fusion, drawn, labels, conflicting)

    def watched_figures(
        fusion: LateFusion, scores: TurnScores, conflicting: TurnScores, labels: torch.Tensor, *others: Any
    ) -> Any:
        judged.extend((scores, conflicting))
        return evaluate_cases(fusion, scores, conflicting, labels, *others)

    monkeypatch.setattr("adapters.training.train.fit_fusion", watched_fit)
    monkeypatch.setattr("adapters.training.train.evaluate_cases", watched_figures)
    train(recipe, data, tmp_path / "out", seed=0, encoders=encoders())
    assert len(fitted) == DRAWS + CONFLICTS
    assert len(judged) == 2
    assert not {id(one) for one in fitted} & {id(one) for one in judged}


@pytest.mark.parametrize("recipe", ["default"], indirect=True)
def test_an_llm_that_changes_in_training_is_noticed(
    data: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meddle(recipe: Recipe, judge: EmotionHead, backbone: Backbone, *others: Any) -> dict[str, LearningCurves]:
        next(backbone._model.parameters()).data.add_(1.0)
        return fit_head(recipe, judge, backbone, *others)

    monkeypatch.setattr("adapters.training.train.fit_head", meddle)
    with pytest.raises(AdapterError, match="must stay frozen"):
        train(recipe, data, tmp_path / "out", seed=0, encoders=encoders())


def test_training_twice_gives_the_same_weights(data: Path, recipe: Recipe, tmp_path: Path) -> None:
    for out in ("one", "two"):
        train(recipe, data, tmp_path / out, seed=3, encoders=encoders())
    first, second = ((tmp_path / out / "adapter.safetensors").read_bytes() for out in ("one", "two"))
    assert first == second


def test_what_was_heard_once_is_kept(data: Path) -> None:
    encoder = StillEncoder()
    first, second = (all_voices(data, encoder) for _ in range(2))
    assert encoder.heard == len(first.labels)
    torch.testing.assert_close(first.summaries, second.summaries)
    assert set(first.corpora) == {"ravdess", "emodb", "urdu", "nemo", "neutral-talk"}


@pytest.mark.parametrize("name", ["emodb/03a01Wa.flac", "meetings/trn04.flac"])
def test_what_sounds_otherwise_is_heard_again(data: Path, name: str) -> None:
    """Also under the same name, and as long."""
    encoder = StillEncoder()
    first = all_voices(data, encoder)
    samples, rate = soundfile.read(data / name)
    soundfile.write(data / name, -0.5 * samples[::-1], rate)
    second = all_voices(data, encoder)
    assert encoder.heard == 2 * len(first.labels)
    assert not torch.equal(first.summaries, second.summaries)


def test_pictures_that_look_otherwise_are_seen_again(data: Path) -> None:
    path = data / "fer2013" / "Training.npz"
    before = face_rows(fer2013.CORPUS, MELD_LABELS, data, lambda: look)
    with np.load(path) as kept:
        images, labels = kept["images"].copy(), kept["labels"]
    images[1] = images[1].T[::-1]
    images[1, 0, 0] ^= 255
    np.savez(path, images=images, labels=labels)
    assert not torch.equal(before.features, face_rows(fer2013.CORPUS, MELD_LABELS, data, lambda: look).features)


def test_members_learn_what_can_be_learned() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(200, 5)
    labels = (inputs[:, 0] > 0).long()
    members = Ensemble(5, 8, 3, 2, (0.0, 0.0))
    losses = fit_ensemble(members, inputs, labels, torch.ones(200), FIT).losses
    assert losses[-1] < losses[0]
    assert (mean_log_probs(members(inputs)).argmax(1) == labels).float().mean() > 0.95


def _learnable() -> tuple[torch.Tensor, torch.Tensor, Ensemble]:
    torch.manual_seed(0)
    inputs = torch.randn(100, 5)
    return inputs, (inputs[:, 0] > 0).long(), Ensemble(5, 8, 3, 2, (0.0, 0.0))


def test_fitting_stops_early_and_goes_back_to_the_best_epoch() -> None:
    inputs, labels, members = _learnable()
    script, kept = iter([0.1, 0.5, 0.4, 0.5, 0.3, 0.6]), []

    def score() -> float:
        kept.append({name: value.clone() for name, value in members.state_dict().items()})
        return next(script)

    curves = fit_ensemble(members, inputs, labels, torch.ones(100), replace(FIT, patience=2), score)
    assert curves.scores == (0.1, 0.5, 0.4, 0.5)  # as good again is no rise
    assert len(curves.losses) == 4
    assert best_epoch(curves.scores) == 1
    for name, value in members.state_dict().items():
        torch.testing.assert_close(value, kept[1][name], atol=0, rtol=0)


def test_without_patience_a_score_changes_nothing() -> None:
    inputs, labels, watched = _learnable()
    curves = fit_ensemble(watched, inputs, labels, torch.ones(100), FIT, lambda: 0.0)
    inputs, labels, alone = _learnable()
    assert fit_ensemble(alone, inputs, labels, torch.ones(100), FIT).losses == curves.losses
    assert len(curves.scores) == FIT.epochs
    for name, value in watched.state_dict().items():
        torch.testing.assert_close(value, alone.state_dict()[name], atol=0, rtol=0)


def test_several_seeds(data: Path, recipe: Recipe, tmp_path: Path) -> None:
    encoder = StillEncoder()
    out = tmp_path / "runs"
    summary = train_seeds(recipe, data, out, range(2), encoders(encoder))
    assert {path.name for path in out.iterdir()} == {"seed-0", "seed-1", "summary.json"}
    files = {"adapter.safetensors", "card.json", "recipe.json", "metrics.json", "curves.png"}
    assert {path.name for path in (out / "seed-1").iterdir()} == files
    assert (out / "seed-0" / "curves.png").read_bytes().startswith(b"\x89PNG")
    f1 = summary["dev"]["words"]["weighted_f1"]
    assert f1["values"] == [_metrics(out / f"seed-{n}")["dev"]["words"]["weighted_f1"] for n in range(2)]
    assert f1["mean"] == pytest.approx(sum(f1["values"]) / 2)
    written = (out / "seed-0" / "adapter.safetensors").stat().st_mtime_ns
    assert train_seeds(recipe, data, out, range(2), encoders(encoder)) == summary
    assert (out / "seed-0" / "adapter.safetensors").stat().st_mtime_ns == written  # done is done
    assert finished(out / "seed-0", replace(recipe, members=3), 0) is None
    (out / "seed-0" / "adapter.safetensors").write_bytes(b"x")
    assert finished(out / "seed-0", recipe, 0) is None
    begin(out / "seed-1")  # another run was begun there, and its figures never came
    assert finished(out / "seed-1", recipe, 1) is None
    assert finished(out / "seed-0", recipe, 1) is None


@pytest.mark.parametrize("recipe", ["default"], indirect=True)
def test_a_folder_that_cannot_be_is_told_before_training(data: Path, recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file", "utf-8")
    encoder = StillEncoder()
    with pytest.raises(AdapterError, match="give --out another one"):
        train(recipe, data, tmp_path / "out", seed=0, encoders=encoders(encoder))
    assert not encoder.heard


def _metrics(folder: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return metrics


def test_mean_and_spread_by_hand() -> None:
    case = {"macro_f1": 0.5, "accuracy": 0.5, "uar": 0.5, "ece": 0.5, "brier": 0.5}
    abouts = {seed: {"dev": {"words": {**case, "weighted_f1": f1}}} for seed, f1 in ((3, 0.6), (4, 0.8))}
    f1 = summarise(abouts)["dev"]["words"]["weighted_f1"]
    assert f1["mean"] == pytest.approx(0.7)
    assert f1["std"] == pytest.approx(0.02**0.5)
    assert (f1["min"], f1["max"]) == (0.6, 0.8)
    assert summarise({3: abouts[3]})["dev"]["words"]["weighted_f1"]["std"] == 0.0


def test_average_is_a_distribution() -> None:
    torch.testing.assert_close(mean_log_probs(torch.randn(4, 3, 7)).exp().sum(1), torch.ones(4))


def test_prior_counts_weights() -> None:
    prior = log_prior(torch.tensor([0, 0, 1]), torch.tensor([1.0, 1.0, 6.0]), 3).exp()
    torch.testing.assert_close(prior, torch.tensor([3.0, 7.0, 1.0]) / 11)


def test_what_is_drawn_matches_is_neutral_or_contradicts() -> None:
    turns = torch.full((4000,), 6)
    pool = torch.arange(7).repeat(3)
    shares = torch.bincount(pool[draw(turns, pool, MELD_LABELS, seed=0)], minlength=7) / len(turns)
    assert shares[6] == pytest.approx(0.5 + 0.1 / 7, abs=0.03)
    assert shares[0] == pytest.approx(0.4 + 0.1 / 7, abs=0.03)
    assert draw(turns, pool, MELD_LABELS, seed=0).equal(draw(turns, pool, MELD_LABELS, seed=0))
    conflicting = torch.bincount(pool[draw(turns, pool, MELD_LABELS, 0, CONFLICT)], minlength=7) / len(turns)
    torch.testing.assert_close(conflicting, torch.full((7,), 1 / 7), atol=0.03, rtol=0)


def test_a_recipe_with_a_misspelt_key(tmp_path: Path) -> None:
    text = (RECIPES / "default.toml").read_text(encoding="utf-8").replace("members =", "membrs =")
    (tmp_path / "odd.toml").write_text(text, encoding="utf-8")
    with pytest.raises(AdapterError, match="members: Field required; membrs: Unexpected keyword argument"):
        read_recipe(tmp_path / "odd.toml")


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="no recipe at"):
        read_recipe(tmp_path / "odd.toml")
