"""The loaded adapter: what it accepts, what it says about modalities, and what it refuses."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapters import recogniser
from adapters.checkpoint import store
from adapters.checkpoint.conformal import CASES, EmotionSets
from adapters.checkpoint.store import BackboneSpec, Card
from adapters.contract import MELD_LABELS, Absent, Features, FeatureSpec, TurnInput, Utterance
from adapters.errors import AdapterError
from adapters.features import visual
from adapters.features.acoustic import SPEC
from adapters.llm.backbone import Backbone
from adapters.llm.prefix import Prefix
from adapters.llm.prompt import PromptSpec
from adapters.readout.judge import Judge, JudgeShape, Witnesses
from adapters.readout.pseudo import PseudoShape
from adapters.readout.voice_summary import remember
from tests.support.tiny import write_backbone

WIDTH = 64
SIZES = {"width": WIDTH, "classes": 7, "words_hidden": 4, "voice_hidden": 4}
SHAPE = JudgeShape(layers=(1, 3), members=2, **SIZES)
ASKING = replace(SHAPE, pseudo=PseudoShape(tokens=3, question=2))
SEEING = replace(SHAPE, face_hidden=4)
HISTORY = (Utterance("Ann", "How was it?"),)


@pytest.fixture(scope="module", params=[SHAPE, ASKING, SEEING], ids=["dialogue only", "pseudo tokens", "faces"])
def folders(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint of random weights, and its backbone."""
    root = tmp_path_factory.mktemp("recogniser")
    llm = write_backbone(root / "llm", hidden_size=WIDTH)
    torch.manual_seed(0)
    spec = BackboneSpec("tiny", Backbone.load(llm, SHAPE.layers, device="cpu").fingerprint)
    video = visual.SPEC if request.param.face_hidden else None
    card = Card("random", MELD_LABELS, SPEC, spec, PromptSpec("", 256), request.param, video=video)
    store.save(root / "adapter", Judge(request.param), card)
    return root / "adapter", llm


@pytest.fixture(scope="module")
def judge(folders: tuple[Path, Path]) -> recogniser.Recogniser:
    return recogniser.load(folders[0], folders[1], device="cpu", dtype="float32")


def voice(frames: int = 60) -> Features:
    return Features(SPEC, np.random.default_rng(0).normal(size=(frames, SPEC.dim)).astype(np.float32))


def face(frames: int = 5, seed: int = 0) -> Features:
    rows = np.random.default_rng(seed).normal(size=(frames, visual.SPEC.dim)).astype(np.float32)
    return Features(visual.SPEC, rows)


def turn(text: str = "Awful.", audio: Features | Absent | None = None) -> TurnInput:
    return TurnInput(Utterance("Bob", text), HISTORY, audio or Absent("turn under 0.8 s"))


def sees(judge: recogniser.Recogniser) -> bool:
    return judge.card.video is not None


def test_words_alone(judge: recogniser.Recogniser) -> None:
    scores = judge.scores(turn())
    assert scores.labels == MELD_LABELS
    assert scores.modalities == {"text": "used", "audio": "turn under 0.8 s", "video": "not given"}
    assert scores.abstained is None


def test_voice_alone(judge: recogniser.Recogniser) -> None:
    scores = judge.scores(turn("", voice()))
    assert scores.modalities == {"text": "no words", "audio": "used", "video": "not given"}
    assert scores.abstained is None


def test_one_frame_of_voice_and_silence_are_judged(judge: recogniser.Recogniser) -> None:
    judge.scores(turn("", voice(1)))
    judge.scores(turn("", Features(SPEC, np.zeros((50, SPEC.dim), np.float32))))


def test_a_voice_is_heard_against_its_speakers_own(judge: recogniser.Recogniser) -> None:
    usual = remember(remember(None, voice(80)), voice(90))
    assert usual.turns == 2
    assert judge.scores(replace(turn("", voice()), voice=usual)) != judge.scores(turn("", voice()))


def test_an_empty_voice_is_not_remembered() -> None:
    assert remember(None, voice(0)).turns == 0
    assert remember(remember(None, voice()), voice(0)).turns == 1


def test_neither_is_no_judgement(judge: recogniser.Recogniser) -> None:
    abstained = judge.scores(turn("  ")).abstained
    assert abstained == "nothing to judge by: no words; turn under 0.8 s" + ("; not given" if sees(judge) else "")


def test_a_face_is_used_where_the_adapter_reads_faces(judge: recogniser.Recogniser) -> None:
    for text, audio in (("Awful.", None), ("Awful.", voice()), ("", voice())):
        without = turn(text, audio)
        seen, otherwise = (judge.scores(replace(without, video=face(seed=seed))) for seed in (1, 2))
        assert seen.modalities["video"] == ("used" if sees(judge) else "not read by this adapter")
        assert (seen.probabilities != otherwise.probabilities) == sees(judge)
        assert (seen.probabilities != judge.scores(without).probabilities) == sees(judge)


def test_a_face_alone(judge: recogniser.Recogniser) -> None:
    scores = judge.scores(replace(turn(""), video=face(1)))
    assert (scores.abstained is None) == sees(judge)


def test_why_there_is_no_face_is_passed_on(judge: recogniser.Recogniser) -> None:
    scores = judge.scores(replace(turn(), video=Absent("face too small")))
    assert scores.modalities["video"] == "face too small"
    for unusable in (face(0), Features(visual.SPEC, np.full((2, visual.SPEC.dim), np.nan, np.float32))):
        given = replace(turn(), video=unusable)
        wanted = "no usable face features" if sees(judge) else "not read by this adapter"
        assert judge.scores(given).modalities["video"] == wanted
        assert judge.scores(given).probabilities == judge.scores(turn()).probabilities


def test_other_face_features_are_refused_naming_both(judge: recogniser.Recogniser) -> None:
    other = Features(FeatureSpec("openface", 1, visual.SPEC.dim, 5.0), face().values)
    if not sees(judge):
        return
    with pytest.raises(AdapterError, match=r"mini-xception.*but was given openface v1"):
        judge.scores(replace(turn(), video=other))


def test_no_frames_are_no_voice(judge: recogniser.Recogniser) -> None:
    assert judge.scores(turn("", voice(0))).modalities["audio"] == "no usable voice features"


def test_the_same_turn_gives_the_same_scores(judge: recogniser.Recogniser) -> None:
    assert judge.scores(turn(audio=voice())) == judge.scores(turn(audio=voice()))


def test_turns_do_not_depend_on_each_other(judge: recogniser.Recogniser) -> None:
    turns = [
        turn(),
        turn("", voice()),
        replace(turn("Lovely!", voice()), video=face()),
        replace(turn(""), video=face()),
    ]
    for alone, together in zip(map(judge.scores, turns), judge.scores_many(turns), strict=True):
        assert alone.probabilities == pytest.approx(together.probabilities, abs=1e-6)


def test_history_matters(judge: recogniser.Recogniser) -> None:
    assert judge.scores(turn()).probabilities != judge.scores(replace(turn(), history=())).probabilities


def test_a_dialogue_that_is_followed_has_the_scores_of_one_that_is_read_whole(judge: recogniser.Recogniser) -> None:
    """Turns without words among them, a history whose beginning falls away, turns that did not happen after all."""
    said = [Utterance(speaker, text) for speaker, text in zip("ABBABCAB", ["Hi.", "Oh no!", "", *"vwxyz"], strict=True)]
    reading = judge.opening
    for number, utterance in enumerate(said):
        history = tuple(u for u in said[number // 5 * 4 : number] if u.text)
        turn = TurnInput(utterance, history, voice() if number % 2 else Absent("none"))
        unsaid, _ = judge.follow(replace(turn, utterance=Utterance("A", "What?")), reading)
        scores, reading = judge.follow(turn, reading)
        assert scores.probabilities == pytest.approx(judge.scores(turn).probabilities, abs=1e-3)
        assert scores.probabilities != unsaid.probabilities
    assert reading is not None
    assert reading.prefix.length == len(reading.ids) < judge.max_tokens


def test_what_was_read_is_not_read_again(judge: recogniser.Recogniser, monkeypatch: pytest.MonkeyPatch) -> None:
    _, reading = judge.follow(turn(), judge.opening)
    read: list[int] = []
    prefix = Backbone.prefix

    def counting(self: Backbone, ids: Tensor, after: Prefix | None = None) -> tuple[Prefix, Tensor]:
        read.append(len(ids))
        return prefix(self, ids, after)

    monkeypatch.setattr(Backbone, "prefix", counting)
    judge.follow(TurnInput(Utterance("Ann", "Yes."), (*HISTORY, turn().utterance)), reading)
    assert read == [len("\nSpeaker 1: Yes.")]


def test_a_line_has_room_in_what_is_counted(judge: recogniser.Recogniser) -> None:
    said = [Utterance("Speaker 3", "Well, well."), Utterance("Speaker 1", "")]
    assert judge.count_tokens(said[0]) == len("Speaker 3: Well, well.\n")
    assert judge.count_tokens(said[1]) == len("Speaker 1:\n")


def test_abstains_below_a_confidence(folders: tuple[Path, Path]) -> None:
    strict = recogniser.load(*folders, device="cpu", abstain_below=1.0)
    abstained = strict.scores(turn()).abstained
    assert abstained is not None
    assert abstained.startswith("confidence 0.")


def test_sets_of_emotions(folders: tuple[Path, Path], judge: recogniser.Recogniser, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="trained without sets"):
        judge.emotions(judge.scores(turn()))
    limits = dict.fromkeys(CASES, (0.5,) * 7) | {
        **{
            "words": (1.0,) * 7,
            "words and voice": (0.0,) * 7,
            "voice": (1.0, *(0.0,) * 6),
            "face": (0.0, 1.0, *(0.0,) * 5),
        }
    }
    card = replace(judge.card, sets=EmotionSets(0.9, limits))
    store.save(tmp_path, store.load(folders[0], SPEC, visual.SPEC)[0], card)
    again = recogniser.load(tmp_path, folders[1], device="cpu", dtype="float32")
    scores = again.scores(turn())
    ranked = sorted(zip(scores.probabilities, MELD_LABELS.labels, strict=True), key=lambda pair: -pair[0])
    assert again.emotions(scores) == tuple(name for _, name in ranked)
    assert again.emotions(again.scores(turn(audio=voice()))) == ()
    assert again.emotions(again.scores(turn("", voice()))) == ("neutral",)
    assert len(again.emotions(again.scores(turn("")))) == 7
    if sees(again):
        assert again.emotions(again.scores(replace(turn(""), video=face()))) == ("surprise",)


def test_other_features_are_refused_naming_both(judge: recogniser.Recogniser) -> None:
    other = Features(FeatureSpec("mfcc", 2, SPEC.dim, 50.0), voice().values)
    with pytest.raises(AdapterError, match=r"whisper.*but was given mfcc v2"):
        judge.scores(turn(audio=other))


def test_ids_name_weights(judge: recogniser.Recogniser) -> None:
    assert judge.adapter_id == f"random-{judge.card.weights_sha256[:8]}"
    assert judge.backbone_id.startswith("tiny-")
    assert judge.feature_specs == {"audio": SPEC, **({"video": visual.SPEC} if sees(judge) else {})}


def test_another_backbone_is_refused_unless_allowed(folders: tuple[Path, Path], tmp_path: Path) -> None:
    other = write_backbone(tmp_path, seed=1, hidden_size=WIDTH)
    with pytest.raises(AdapterError, match="another model"):
        recogniser.load(folders[0], other, device="cpu")
    recogniser.load(folders[0], other, device="cpu", any_backbone=True)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_confidence_out_of_range(folders: tuple[Path, Path], value: float) -> None:
    with pytest.raises(AdapterError, match="abstain_below"):
        recogniser.load(*folders, device="cpu", abstain_below=value)


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="no adapter at"):
        recogniser.load(tmp_path)


def _copy(folders: tuple[Path, Path], to: Path) -> Path:
    for path in folders[0].iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def test_damaged_weights_are_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    weights = _copy(folders, tmp_path) / "adapter.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(AdapterError, match="damaged"):
        recogniser.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"audio": {"name": "mfcc", "version": 1, "dim": 13, "rate_hz": 100.0}}, r"hears mfcc v1 .* extracts whisper"),
        (
            {"video": {"name": "openface", "version": 1, "dim": 17, "rate_hz": 5.0}},
            r"sees openface v1 .* extracts mini-xception",
        ),
        ({"format": 99}, "format 99"),
        ({"labels": None}, "not a card"),
        ({"sets": {"coverage": 0.9, "limits": {"words": [0.5]}}}, "not a card"),
        (
            {"shape": {**{"layers": [1, 3], "width": WIDTH, "classes": 7}, "members": 3}},
            "weight",
        ),
    ],
)
def test_a_card_that_does_not_fit(
    folders: tuple[Path, Path], tmp_path: Path, change: dict[str, object], message: str
) -> None:
    card = _copy(folders, tmp_path) / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), **change}))
    with pytest.raises(AdapterError, match=message):
        recogniser.load(tmp_path)


def test_a_checkpoint_from_before_misread_words_takes_them_at_their_word(tmp_path: Path) -> None:
    llm = write_backbone(tmp_path / "llm", hidden_size=WIDTH)
    spec = BackboneSpec("tiny", Backbone.load(llm, SHAPE.layers, device="cpu").fingerprint)
    store.save(tmp_path, Judge(SHAPE), Card("old", MELD_LABELS, SPEC, spec, PromptSpec("", 256), SHAPE))
    old = load_file(tmp_path / "adapter.safetensors")
    del old["weigh.misread"]
    save_file(old, tmp_path / "adapter.safetensors")
    card = json.loads((tmp_path / "card.json").read_text())
    card["format"], card["weights_sha256"] = 3, sha256((tmp_path / "adapter.safetensors").read_bytes()).hexdigest()
    (tmp_path / "card.json").write_text(json.dumps(card))
    judge, read = store.load(tmp_path, SPEC, visual.SPEC)
    assert read.format == 3
    sure = torch.full((1, 7), -50.0)
    sure[0, 3] = 0.0
    yes, no = torch.ones(1, dtype=torch.bool), torch.zeros(1, dtype=torch.bool)
    fused = judge.weigh(Witnesses(sure, yes, sure, no, sure, no))
    torch.testing.assert_close(fused, sure.log_softmax(-1))
    card["format"] = store.FORMAT  # which has that weight
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(AdapterError, match="misread is missing"):
        store.load(tmp_path, SPEC, visual.SPEC)


def test_a_checkpoint_from_before_faces_judges_as_it_did(tmp_path: Path) -> None:
    """Format 2 had one weight per case of words and voice, and no more between readers and judgement."""
    llm = write_backbone(tmp_path / "llm", hidden_size=WIDTH)
    spec = BackboneSpec("tiny", Backbone.load(llm, SHAPE.layers, device="cpu").fingerprint)
    torch.manual_seed(0)
    fresh = Judge(SHAPE)
    store.save(tmp_path, fresh, Card("old", MELD_LABELS, SPEC, spec, PromptSpec("", 256), SHAPE))
    old = {
        name: value
        for name, value in load_file(tmp_path / "adapter.safetensors").items()
        if not name.startswith("weigh.")
    }
    weights = {"words_alone": 1.5, "words_beside_voice": 0.75, "voice_beside_words": 0.5, "voice_alone": 2.0}
    prior = torch.linspace(-1, 1, 7)
    old |= {f"weigh.{name}": torch.tensor(value) for name, value in weights.items()} | {"weigh.no_words": prior}
    save_file(old, tmp_path / "adapter.safetensors")
    card = json.loads((tmp_path / "card.json").read_text())
    card["format"], card["weights_sha256"] = 2, sha256((tmp_path / "adapter.safetensors").read_bytes()).hexdigest()
    del card["video"], card["shape"]["face_hidden"]
    (tmp_path / "card.json").write_text(json.dumps(card))
    judge, read = store.load(tmp_path, SPEC, visual.SPEC)
    assert read.video is None
    words, voice_ = torch.randn(2, 4, 7).log_softmax(-1)
    yes, no = torch.ones(4, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)
    for has_words, has_voice, expected in (
        (yes, no, 1.5 * words),
        (yes, yes, 0.75 * words + 0.5 * voice_),
        (no, yes, prior + 2.0 * voice_),
        (no, no, prior.expand(4, 7)),
    ):
        fused = judge.weigh(Witnesses(words, has_words, voice_, has_voice, torch.zeros(4, 7), no))
        torch.testing.assert_close(fused, expected.log_softmax(-1))
    scores = recogniser.load(tmp_path, llm, device="cpu").scores(replace(turn(), video=face()))
    assert scores.modalities["video"] == "not read by this adapter"
