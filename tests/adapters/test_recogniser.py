"""The loaded adapter: what it accepts, what it says about modalities, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from adapters import recogniser
from adapters.checkpoint import store
from adapters.checkpoint.conformal import CASES, EmotionSets
from adapters.checkpoint.store import BackboneSpec, Card
from adapters.contract import MELD_LABELS, Absent, DialogueState, Features, FeatureSpec, Sound, TurnInput, Utterance
from adapters.errors import AdapterError
from adapters.features import visual
from adapters.features.acoustic import SPEC
from adapters.llm.backbone import Backbone
from adapters.llm.prefix import Prefix
from adapters.llm.prompt import PromptSpec
from adapters.readout.head import EmotionHead, HeadShape
from adapters.readout.pseudo import PseudoShape
from tests.support.tiny import write_backbone

WIDTH = 64
SIZES = {"width": WIDTH, "classes": 7, "words_hidden": 4, "voice_hidden": 4}
SHAPE = HeadShape(layers=(1, 3), members=2, **SIZES)
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
    store.save(root / "adapter", EmotionHead(request.param), card)
    return root / "adapter", llm


@pytest.fixture(scope="module")
def model(folders: tuple[Path, Path]) -> recogniser.LlmRecogniser:
    return recogniser.load(folders[0], folders[1], device="cpu", dtype="float32")


def voice(frames: int = 60) -> Features:
    return Features(SPEC, np.random.default_rng(0).normal(size=(frames, SPEC.dim)).astype(np.float32))


def face(frames: int = 5, seed: int = 0) -> Features:
    rows = np.random.default_rng(seed).normal(size=(frames, visual.SPEC.dim)).astype(np.float32)
    return Features(visual.SPEC, rows)


def turn(text: str = "Awful.", audio: Features | Absent | None = None) -> TurnInput:
    return TurnInput(Utterance("Bob", text), HISTORY, audio or Absent("turn under 0.8 s"))


def reads_faces(model: recogniser.LlmRecogniser) -> bool:
    return model.card.video is not None


def test_words_alone(model: recogniser.LlmRecogniser) -> None:
    scores = model.scores(turn())
    assert scores.labels == MELD_LABELS
    assert scores.modalities == {"text": "used", "audio": "turn under 0.8 s", "video": "not given"}
    assert scores.abstained is None


def test_voice_alone(model: recogniser.LlmRecogniser) -> None:
    scores = model.scores(turn("", voice()))
    assert scores.modalities == {"text": "no words", "audio": "used", "video": "not given"}
    assert scores.abstained is None


def test_one_frame_of_voice_and_silence_are_judged(model: recogniser.LlmRecogniser) -> None:
    model.scores(turn("", voice(1)))
    model.scores(turn("", Features(SPEC, np.zeros((50, SPEC.dim), np.float32))))


def test_a_voice_is_heard_against_its_speakers_own(model: recogniser.LlmRecogniser) -> None:
    state = model.start()
    for frames in (80, 90):
        _, state = model.follow(turn("", voice(frames)), state)
    assert state.voices["Bob"].turns == 2
    assert model.follow(turn("", voice()), state)[0] != model.scores(turn("", voice()))
    assert model.follow(turn("", voice()), state.without_voices())[0] == model.scores(turn("", voice()))


@pytest.mark.parametrize(("words", "first", "later"), [(6.0, "neutral", "anger"), (0.5, "anger", "anger")])
def test_the_first_voice_does_not_overrule_clear_words(
    folders: tuple[Path, Path], words: float, first: str, later: str
) -> None:
    model = recogniser.load(folders[0], folders[1], device="cpu", dtype="float32")
    head, labels = model._head, MELD_LABELS.labels
    assert head.voice
    with torch.no_grad():  # the words say neutral, more or less; the voice says anger, surely
        for ensembles, label, score in (([head.words], "neutral", words), (head.voice.views, "anger", 30.0)):
            for ensemble in ensembles:
                ensemble.outer.zero_()
                ensemble.bias.zero_()
                ensemble.bias[:, labels.index(label)] = score
        head.fusion.text_noise.fill_(-20.0)
        head.fusion.voice.noise.fill_(-20.0)
    scores, state = model.follow(turn("Awful.", voice()), model.start())
    assert scores.label == first
    held = scores.modalities["audio"] != "used"
    assert held == (first == "neutral")
    if held:  # as if there had been no voice
        assert scores.probabilities == model.scores(turn("Awful.")).probabilities
        assert scores.modalities["audio"] == "first turn of this voice, and the emotion is clear without it"
    assert state.voices["Bob"].turns == 1  # it is remembered all the same
    scores, _ = model.follow(turn("Awful.", voice()), state)
    assert (scores.label, scores.modalities["audio"]) == (later, "used")
    assert model.scores(turn("", voice())).label == "anger"


def test_an_empty_voice_is_not_remembered(model: recogniser.LlmRecogniser) -> None:
    unusable = Features(SPEC, np.full((3, SPEC.dim), np.nan, np.float32))
    state = model.start()
    for audio in (voice(0), unusable, Absent("none")):
        _, state = model.follow(turn("", audio), state)
        assert not state.voices
    _, state = model.follow(turn("", voice()), state)
    _, state = model.follow(turn("", voice(0)), state)
    assert state.voices["Bob"].turns == 1


def test_voices_are_bounded(model: recogniser.LlmRecogniser) -> None:
    state = model.start()
    for number in range(70):
        _, state = model.follow(TurnInput(Utterance(f"Speaker {number}", ""), audio=voice()), state)
    assert list(state.voices) == [f"Speaker {number}" for number in range(6, 70)]


def test_following_leaves_the_state_as_it_is(model: recogniser.LlmRecogniser) -> None:
    before = model.start()
    model.follow(turn("Hm.", voice()), before)
    assert not before.voices
    assert model.start().dialogue is before.dialogue


def test_a_state_of_another_recogniser_is_refused(model: recogniser.LlmRecogniser) -> None:
    with pytest.raises(AdapterError, match=r"DialogueState is of another recogniser: begin with start\(\)"):
        model.follow(turn(), DialogueState())


def test_neither_is_no_judgement(model: recogniser.LlmRecogniser) -> None:
    abstained = model.scores(turn("  ")).abstained
    assert abstained == "nothing to judge by: no words; turn under 0.8 s" + (
        "; not given" if reads_faces(model) else ""
    )


def test_a_face_is_used_where_the_adapter_reads_faces(model: recogniser.LlmRecogniser) -> None:
    for text, audio in (("Awful.", None), ("Awful.", voice()), ("", voice())):
        without = turn(text, audio)
        seen, otherwise = (model.scores(replace(without, video=face(seed=seed))) for seed in (1, 2))
        assert seen.modalities["video"] == ("used" if reads_faces(model) else "not read by this adapter")
        assert (seen.probabilities != otherwise.probabilities) == reads_faces(model)
        assert (seen.probabilities != model.scores(without).probabilities) == reads_faces(model)


def test_a_face_alone(model: recogniser.LlmRecogniser) -> None:
    scores = model.scores(replace(turn(""), video=face(1)))
    assert (scores.abstained is None) == reads_faces(model)


def test_why_there_is_no_face_is_passed_on(model: recogniser.LlmRecogniser) -> None:
    scores = model.scores(replace(turn(), video=Absent("face too small")))
    assert scores.modalities["video"] == "face too small"
    for unusable in (face(0), Features(visual.SPEC, np.full((2, visual.SPEC.dim), np.nan, np.float32))):
        given = replace(turn(), video=unusable)
        wanted = "no usable face features" if reads_faces(model) else "not read by this adapter"
        assert model.scores(given).modalities["video"] == wanted
        assert model.scores(given).probabilities == model.scores(turn()).probabilities


def test_other_face_features_are_refused_naming_both(model: recogniser.LlmRecogniser) -> None:
    other = Features(FeatureSpec("openface", 1, visual.SPEC.dim, 5.0), face().values)
    if not reads_faces(model):
        return
    with pytest.raises(AdapterError, match=r"mini-xception.*but was given openface v1"):
        model.scores(replace(turn(), video=other))


def test_no_frames_are_no_voice(model: recogniser.LlmRecogniser) -> None:
    assert model.scores(turn("", voice(0))).modalities["audio"] == "no usable voice features"


def test_the_same_turn_gives_the_same_scores(model: recogniser.LlmRecogniser) -> None:
    assert model.scores(turn(audio=voice())) == model.scores(turn(audio=voice()))


def test_turns_do_not_depend_on_each_other(model: recogniser.LlmRecogniser) -> None:
    turns = [
        turn(),
        turn("", voice()),
        replace(turn("Lovely!", voice()), video=face()),
        replace(turn(""), video=face()),
    ]
    forwards = [model.scores(one).probabilities for one in turns]
    assert forwards == [model.scores(one).probabilities for one in reversed(turns)][::-1]


def test_history_matters(model: recogniser.LlmRecogniser) -> None:
    assert model.scores(turn()).probabilities != model.scores(replace(turn(), history=())).probabilities


def test_a_dialogue_that_is_followed_has_the_scores_of_one_that_is_read_whole(model: recogniser.LlmRecogniser) -> None:
    """Turns without words among them, a history whose beginning falls away, turns that did not happen after all."""
    said = [Utterance(speaker, text) for speaker, text in zip("ABBABCAB", ["Hi.", "Oh no!", "", *"vwxyz"], strict=True)]
    state = model.start()
    for number, utterance in enumerate(said):
        history = tuple(u for u in said[number // 5 * 4 : number] if u.text)
        turn = TurnInput(utterance, history, voice() if number % 2 else Absent("none"))
        state = state.without_voices()
        unsaid, _ = model.follow(replace(turn, utterance=Utterance("A", "What?")), state)
        scores, state = model.follow(turn, state)
        assert scores.probabilities == pytest.approx(model.scores(turn).probabilities, abs=1e-3)
        assert scores.probabilities != unsaid.probabilities
    assert state.dialogue is not None
    assert state.dialogue.prefix.length == len(state.dialogue.ids) < model.max_tokens


def test_what_was_read_is_not_read_again(model: recogniser.LlmRecogniser, monkeypatch: pytest.MonkeyPatch) -> None:
    _, state = model.follow(turn(), model.start())
    read: list[int] = []
    prefix = Backbone.prefix

    def counting(self: Backbone, ids: Tensor, after: Prefix | None = None) -> tuple[Prefix, Tensor]:
        read.append(len(ids))
        return prefix(self, ids, after)

    monkeypatch.setattr(Backbone, "prefix", counting)
    model.follow(TurnInput(Utterance("Ann", "Yes."), (*HISTORY, turn().utterance)), state)
    assert read == [len("\nSpeaker 1: Yes.")]


def test_a_line_has_room_in_what_is_counted(model: recogniser.LlmRecogniser) -> None:
    said = [Utterance("Speaker 3", "Well, well."), Utterance("Speaker 1", "")]
    assert model.count_tokens(said[0]) == len("Speaker 3: Well, well.\n")
    assert model.count_tokens(said[1]) == len("Speaker 1:\n")


def test_abstains_below_a_confidence(folders: tuple[Path, Path]) -> None:
    strict = recogniser.load(*folders, device="cpu", abstain_below=1.0)
    abstained = strict.scores(turn()).abstained
    assert abstained is not None
    assert abstained.startswith("confidence 0.")


def test_sets_of_emotions(folders: tuple[Path, Path], model: recogniser.LlmRecogniser, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="trained without sets"):
        model.emotions(model.scores(turn()))
    limits = dict.fromkeys(CASES, (0.5,) * 7) | {
        **{
            "words": (1.0,) * 7,
            "words and voice": (0.0,) * 7,
            "voice": (1.0, *(0.0,) * 6),
            "face": (0.0, 1.0, *(0.0,) * 5),
        }
    }
    card = replace(model.card, sets=EmotionSets(0.9, limits))
    store.save(tmp_path, store.load(folders[0], SPEC, visual.SPEC)[0], card)
    again = recogniser.load(tmp_path, folders[1], device="cpu", dtype="float32")
    scores = again.scores(turn())
    ranked = sorted(zip(scores.probabilities, MELD_LABELS.labels, strict=True), key=lambda pair: -pair[0])
    assert again.emotions(scores) == tuple(name for _, name in ranked)
    assert again.emotions(again.scores(turn(audio=voice()))) == ()
    assert again.emotions(again.scores(turn("", voice()))) == ("neutral",)
    assert len(again.emotions(again.scores(turn("")))) == 7
    if reads_faces(again):
        assert again.emotions(again.scores(replace(turn(""), video=face()))) == ("surprise",)


def test_other_features_are_refused_naming_both(model: recogniser.LlmRecogniser) -> None:
    other = Features(FeatureSpec("mfcc", 2, SPEC.dim, 50.0), voice().values)
    with pytest.raises(AdapterError, match=r"whisper.*but was given mfcc v2"):
        model.scores(turn(audio=other))


def test_ids_name_weights(model: recogniser.LlmRecogniser) -> None:
    assert model.adapter_id == f"random-{model.card.weights_sha256[:8]}"
    assert model.backbone_id.startswith("tiny-")
    assert model.feature_specs == {"audio": SPEC, **({"video": visual.SPEC} if reads_faces(model) else {})}


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
        ({"audio": {"name": "mfcc", "version": 1, "dim": 13, "rate_hz": 100.0}}, r"reads mfcc v1 .* extracts whisper"),
        (
            {"video": {"name": "openface", "version": 1, "dim": 17, "rate_hz": 5.0}},
            r"reads openface v1 .* extracts mini-xception",
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


def heard(*labels: str) -> tuple[Sound, ...]:
    return tuple(Sound(label, 0.0, 1.0 + place, 0.9) for place, label in enumerate(labels))


@pytest.mark.parametrize(("sounds", "label"), [(("laughter",), "joy"), (("cough", "crying"), "sadness")])
def test_a_turn_without_words_is_judged_by_laughter_or_sobs(
    model: recogniser.LlmRecogniser, sounds: tuple[str, ...], label: str
) -> None:
    scores = model.scores(TurnInput(Utterance("Ann", ""), HISTORY, sounds=heard(*sounds)))
    assert (scores.label, scores.abstained) == (label, None)
    assert sum(scores.probabilities) == pytest.approx(1)


def test_sounds_that_tell_nothing_leave_nothing_to_judge_by(model: recogniser.LlmRecogniser) -> None:
    alone = TurnInput(Utterance("Ann", ""), HISTORY)
    coughed = model.scores(replace(alone, sounds=heard("cough", "sigh")))
    assert coughed.probabilities == model.scores(alone).probabilities
    assert str(coughed.abstained).startswith("nothing to judge by")


def test_beside_words_sounds_are_not_judged(model: recogniser.LlmRecogniser) -> None:
    said = TurnInput(Utterance("Ann", "It is fine."), HISTORY, voice())
    assert model.scores(replace(said, sounds=heard("laughter"))).probabilities == model.scores(said).probabilities
