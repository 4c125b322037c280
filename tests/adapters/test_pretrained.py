"""The checkpoint that ships, on its real backbone."""

from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from adapters import recogniser
from adapters.assets import asset_folder
from adapters.contract import MELD_LABELS, Features, TurnInput, Utterance
from adapters.datasets import fer2013
from adapters.errors import AdapterError
from adapters.features import visual
from adapters.features.acoustic import SPEC, SpeechEncoder
from adapters.llm.backbone import digest
from adapters.readout.pseudo import Nonverbal

pytestmark = pytest.mark.models
ADAPTERS = ("default", "commercial", "mse")
BESIDE = {"default": ["valence-arousal"], "commercial": ["valence-arousal"], "mse": []}  # mse reads the LLM as it is
HISTORY = (Utterance("Ann", "So, what did they say about the job?"),)


@pytest.fixture(scope="module", autouse=True)
def llm() -> None:
    folder = asset_folder("smollm2-135m-instruct")
    if not folder.is_dir():
        pytest.skip(f"no weights at {folder}: pull smollm2-135m-instruct")


@cache
def loaded(name: str) -> recogniser.LlmRecogniser:
    return recogniser.load(name, device="cpu")


@pytest.fixture(scope="module")
def model() -> recogniser.LlmRecogniser:
    return loaded("default")


def test_its_card(model: recogniser.LlmRecogniser) -> None:
    assert model.card.labels == MELD_LABELS
    assert model.card.audio == SPEC
    assert model.card.video == visual.SPEC
    dev = model.card.about["dev"]
    assert dev["words"]["weighted_f1"] > 0.6
    both = [dev[f"words and {other} (simulated)"]["weighted_f1"] for other in ("voice", "face")]
    assert dev["words"]["weighted_f1"] < min(both)
    assert max(both) < dev["words, voice and face (simulated)"]["weighted_f1"]
    assert {"data", "limits", "seed"} <= model.card.about.keys()


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize(
    ("words", "label"),
    [
        ("I got the job! I'm so happy!", "joy"),
        ("Leave me alone, you idiot!", "anger"),
        ("I have a meeting at four.", "neutral"),
        ("What? No way!", "surprise"),
        ("The dog died this morning.", "sadness"),
    ],
)
def test_clear_cases(name: str, words: str, label: str) -> None:
    assert loaded(name).scores(TurnInput(Utterance("Bob", words), HISTORY)).label == label


def test_valence_and_arousal_of_clear_cases() -> None:
    model = recogniser.load(device="cpu", dimensions=["valence-arousal"])

    def told(words: str) -> tuple[float, float]:
        found = model.scores(TurnInput(Utterance("Bob", words), HISTORY)).dimensions
        return found["valence"].value, found["arousal"].value

    good, bad, plain = (
        told("I got the job! I'm so happy!"),
        told("I hate you, you idiot!"),
        told("I have a meeting at four."),
    )
    assert good[0] > 0.2 > plain[0] > -0.2 > bad[0]
    assert min(good[1], bad[1]) > plain[1]


def converse(model: recogniser.LlmRecogniser) -> None:
    """Have a short dialogue judged, with voices and faces."""
    random, state = np.random.default_rng(0), model.start()
    heard = Features(SPEC, random.normal(size=(80, SPEC.dim)).astype(np.float32))
    seen = Features(visual.SPEC, random.random((7, visual.SPEC.dim), np.float32))
    said: list[Utterance] = []
    for words in ("So, what did they say about the job?", "I got it!", "", "No way!"):
        utterance = Utterance(f"Speaker {len(said) % 2 + 1}", words)
        _, state = model.follow(TurnInput(utterance, tuple(said), heard, seen), state)
        said.append(utterance)


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_dialogue_leaves_every_weight_of_the_llm_as_it_is(name: str) -> None:
    model = recogniser.load(name, device="cpu", dimensions=BESIDE[name])
    before = model._backbone.weights_digest
    converse(model)
    assert model._backbone.weights_digest == before
    assert model._backbone.fingerprint == model.card.backbone.fingerprint


def test_the_llm_writes_what_it_wrote_with_every_adapter_loaded_and_unloaded() -> None:
    folder = asset_folder("smollm2-135m-instruct")
    tokens = AutoTokenizer.from_pretrained(folder)("The weather today is", return_tensors="pt")
    llm = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def written() -> list[int]:
        found: list[int] = llm.generate(**tokens, max_new_tokens=16, do_sample=False)[0].tolist()
        return found

    before, weights = written(), digest(llm)
    for name in ADAPTERS:
        model = recogniser.load(name, device="cpu", dimensions=BESIDE[name])
        converse(model)
        assert written() == before
        if (lora := model._head.lora) is not None:
            with lora.on(llm.model):
                assert written() != before
        del model
        assert written() == before
    fresh = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)  # from the files as they are now
    assert digest(fresh) == digest(llm) == weights


def test_valence_beside_an_adapter_that_reads_the_llm_as_it_is_is_refused() -> None:
    with pytest.raises(AdapterError, match=r"low-rank adapters .* train it beside mse"):
        recogniser.load("mse", device="cpu", dimensions=["valence-arousal"])


def test_pseudo_tokens_hear_the_voice_and_see_the_face() -> None:
    model, random = recogniser.load("mse", device="cpu", dtype="float32"), np.random.default_rng(0)
    assert model.card.shape.pseudo is not None
    pseudo, none = model._head.pseudo, Nonverbal.none(1, 7)
    assert pseudo is not None
    words = torch.from_numpy(random.normal(size=(1, model.card.shape.width)).astype(np.float32)) * pseudo.scale
    yes = torch.ones(1, dtype=torch.bool)
    sure = [torch.full((1, 7), -5.0).index_fill(1, torch.tensor([label]), 0.0).log_softmax(-1) for label in (4, 6)]
    made = [pseudo(words, replace(none, voice=one, has_voice=yes)) for one in sure]
    made += [pseudo(words, replace(none, face=one, has_face=yes)) for one in sure]
    made += [pseudo(words, none)]
    assert all(not one.allclose(other) for one, other in combinations(made, 2))


def test_number_formats_agree(model: recogniser.LlmRecogniser) -> None:
    turn = TurnInput(Utterance("Bob", "I can't believe it."), HISTORY)
    exact = recogniser.load(device="cpu", dtype="float32").scores(turn).probabilities
    rounded = recogniser.load(device="cpu", dtype="bfloat16").scores(turn).probabilities
    np.testing.assert_allclose(exact, rounded, atol=0.05)


def test_a_dialogue_that_is_followed_has_the_scores_of_one_that_is_read_whole() -> None:
    model = recogniser.load(device="cpu", dtype="float32")
    said = [
        *HISTORY,
        Utterance("Bob", "They gave it to my brother."),
        Utterance("Ann", "No! That's so unfair."),
        HISTORY[0],
    ]
    state = model.start()
    for number, utterance in enumerate(said):
        turn = TurnInput(utterance, tuple(said[:number]))
        scores, state = model.follow(turn, state)
        np.testing.assert_allclose(scores.probabilities, model.scores(turn).probabilities, atol=1e-3)
    assert state.dialogue is not None
    assert state.dialogue.prefix.bytes <= 26_112 * model.max_tokens


@pytest.mark.data
def test_ordinary_speech_is_neutral(model: recogniser.LlmRecogniser, data_dir: Path) -> None:
    whisper = asset_folder("whisper-base")
    if not whisper.is_dir():
        pytest.skip(f"no weights at {whisper}: pull whisper-base")
    samples, _ = soundfile.read(data_dir / "telephone" / "sample.flac", dtype="float32", start=22 * 16_000)
    voice = SpeechEncoder(whisper, threads=1).encode(samples[: 3 * 16_000]).features
    assert model.scores(TurnInput(Utterance("Bob", ""), audio=voice)).label == "neutral"


@pytest.mark.data
@pytest.mark.parametrize("label", ["neutral", "surprise", "joy", "anger"])
def test_a_face_is_read_alone_and_tips_the_balance_of_words(
    model: recogniser.LlmRecogniser, data_dir: Path, label: str
) -> None:
    folder = asset_folder("mini-xception-fer")
    if not folder.is_dir():
        pytest.skip(f"no weights at {folder}: pull mini-xception-fer")
    faces = fer2013.load(data_dir / "fer2013", "PublicTest")
    of_label = faces.images[faces.labels == MELD_LABELS.labels.index(label)]
    frames = visual.FaceEncoder(folder)(of_label[:12])
    named = [frames[frames[:, visual.CHANNELS :].argmax(1) == MELD_LABELS.labels.index(label)]]
    seen = Features(visual.SPEC, np.concatenate(named))
    alone = model.scores(TurnInput(Utterance("Bob", ""), video=seen))
    assert alone.label == label
    said = TurnInput(Utterance("Bob", "Look who is here."), HISTORY)
    at = MELD_LABELS.labels.index(label)
    with_face = TurnInput(said.utterance, HISTORY, video=seen)
    assert model.scores(with_face).probabilities[at] > model.scores(said).probabilities[at]


@pytest.mark.data
def test_calm_reading_is_not_called_angry_by_its_voice(model: recogniser.LlmRecogniser, data_dir: Path) -> None:
    words = Utterance("Speaker 1", "Concord returned to its place amidst the tents.")
    samples, rate = soundfile.read(data_dir / "librispeech_pair" / "6930-75918-0000.flac", dtype="float32")
    assert rate == 16_000
    scores = model.scores(TurnInput(words, audio=SpeechEncoder(threads=1).encode(samples).features))
    assert scores.label == "neutral"
