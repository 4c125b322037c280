"""The real networks on real audio."""

import shutil

import numpy as np
import pytest
import soundfile

from adapters.contract import asset_folder
from adapters.features.acoustic import SpeechEncoder, WindowEncoder
from tracker.app.models import load_models
from tracker.config import Config
from tracker.errors import AssetError, ConfigError
from tracker.observe.campplus import VoiceEmbedder, filterbank
from tracker.observe.gate import TextGate
from tracker.observe.transcribe import Transcriber
from tracker.sources.media import AudioChunk
from tracker.turns.activity import STEP_S, SpeakerActivity
from tracker.turns.changes import speaker_changes
from tracker.turns.completeness import TurnCompleteness
from tracker.turns.segment import AudioSegmenter
from tracker.turns.segmenter import Limits
from tracker.turns.turn import Turn
from tracker.turns.voice import VoiceDetector

pytestmark = pytest.mark.models


def folder(name):
    path = asset_folder(name)
    if not path.is_dir():
        pytest.skip(f"{name} is not in the cache: run tracker assets pull")
    return path


@pytest.fixture(scope="module")
def telephone() -> np.ndarray:
    samples, rate = soundfile.read(folder("telephone-sample") / "sample.wav", dtype="float32")
    assert rate == 16_000
    return samples


@pytest.fixture(scope="module")
def activity() -> SpeakerActivity:
    return SpeakerActivity(folder("pyannote-segmentation-3.0"))


@pytest.fixture(scope="module")
def complete() -> TurnCompleteness:
    return TurnCompleteness(folder("smart-turn-v3"))


@pytest.fixture(scope="module")
def embed() -> VoiceEmbedder:
    return VoiceEmbedder(folder("campplus-zh-en"))


@pytest.fixture(scope="module")
def transcribe():
    encoder = SpeechEncoder(folder("whisper-base"))
    transcriber = Transcriber(folder("whisper-base"), "en", TextGate(), encoder)
    return lambda samples: transcriber(samples, encoder.encode(samples))


def test_a_word_alone_that_repeats_itself_is_heard_again_with_more_room(telephone, monkeypatch):
    def never(_):
        raise AssertionError("the full window was not needed")

    transcriber = Transcriber(folder("whisper-tiny.en"), "en", TextGate())
    monkeypatch.setattr(WindowEncoder, "full", never)
    hello = telephone[round(7.4 * 16_000) : round(8.16 * 16_000)]
    assert transcriber(hello).text == "Hello?"
    assert transcriber.fallbacks == 1


def turns_of(samples, activity=None) -> list[Turn]:
    segmenter = AudioSegmenter(1, lambda: VoiceDetector(2, 0.5).frame, Limits(), activity)
    records = [*segmenter.feed(AudioChunk(0, 0, samples)), *segmenter.finish()]
    return [record for record in records if isinstance(record, Turn)]


def test_a_telephone_call_falls_into_its_speakers_turns(telephone, activity):
    turns = turns_of(telephone, activity)
    # Where the reference annotation passes the floor; one speaker talks into the other's words at 9.9 and 27.9.
    reference = [8.3, 9.9, 10.6, 14.6, 18.0, 21.6, 28.2]
    ends = [turn.end_ns / 1e9 for turn in turns[:-1]]
    assert ends == pytest.approx(reference, abs=0.3)


def test_two_voices_are_further_apart_than_one_from_itself(telephone, embed):
    def voice(begin_s, end_s):
        return embed(telephone[int(begin_s * 16_000) : int(end_s * 16_000)])

    first, second = [voice(10.9, 14.2), voice(18.5, 21.4)], [voice(14.8, 17.9), voice(22, 27.5)]
    same = [first[0] @ first[1], second[0] @ second[1]]
    different = [a @ b for a in first for b in second]
    assert min(same) > 0.6 > 0.55 > max(different)
    assert np.linalg.norm(first[0]) == pytest.approx(1, abs=1e-5)


def test_a_voice_needs_some_audio(embed):
    with pytest.raises(ValueError, match=r"at least 0\.1 s"):
        embed(np.zeros(100, np.float32))


def test_the_filterbank_has_no_mean():
    import torch

    bands = filterbank(torch.from_numpy(np.random.default_rng(0).standard_normal(16_000).astype(np.float32)))
    assert bands.shape == (98, 80)
    assert float(bands.mean(0).abs().max()) < 1e-4


def test_the_floor_is_seen_to_pass(telephone, activity):
    found = speaker_changes(activity(telephone[14 * 16_000 : 24 * 16_000]), 30, 15)
    assert [round(14 + at * STEP_S, 1) for at in found] == pytest.approx([14.5, 18.0, 21.6], abs=0.2)
    assert len(activity(np.zeros(1000, np.float32))) == 0


@pytest.mark.parametrize("seconds", [0.3, 4.2, 8.0, 11.0])
def test_a_turn_is_heard_as_the_network_was_trained_to(telephone, complete, seconds):
    from transformers import WhisperFeatureExtractor

    said = telephone[10 * 16_000 :][: int(seconds * 16_000)]
    eight = np.pad(said, (max(0, 128_000 - len(said)), 0))[-128_000:]
    reference = WhisperFeatureExtractor(chunk_length=8)(eight, sampling_rate=16_000, do_normalize=True)
    np.testing.assert_allclose(complete.features(said), reference["input_features"][0], atol=1e-4)


def test_a_finished_turn_sounds_more_complete_than_one_broken_off(telephone, complete):
    def at(begin_s, end_s):
        return complete(telephone[int(begin_s * 16_000) : int(end_s * 16_000)])

    # What pipecat 1.14.0's own front-end and the same weights come to.
    assert at(10.6, 14.8) == pytest.approx(0.0157, abs=0.01)
    assert at(18.0, 29.0) == pytest.approx(0.1312, abs=0.03)
    assert at(14.5, 18.05) > 0.9  # "I'm originally from Chicago also."


def test_words_are_heard(telephone, transcribe):
    said = transcribe(telephone[int(14.5 * 16_000) : (18 * 16_000)])
    assert "originally from Chicago" in said.text
    assert (said.language, said.why_empty) == ("en", None)


def test_a_language_that_the_model_does_not_know_is_refused():
    english = folder("whisper-tiny.en")
    Transcriber(english, "en-GB", TextGate())
    with pytest.raises(ConfigError, match=r"^transcribe\.language: the model in .* does not know 'fr'; use another"):
        Transcriber(english, "fr", TextGate())


def test_damaged_weights_of_the_right_size_are_named(tmp_path, monkeypatch):
    whole, cache = asset_folder("pyannote-segmentation-3.0").parent, tmp_path / "assets"
    damaged = cache / "pyannote-segmentation-3.0" / "model.safetensors"
    damaged.parent.mkdir(parents=True)
    for other in whole.iterdir():
        if other.is_dir() and other.name != damaged.parent.name:
            (cache / other.name).symlink_to(other)
    for file in (whole / damaged.parent.name).iterdir():
        shutil.copy(file, damaged.parent)
    content = bytearray(damaged.read_bytes())
    content[-1000] ^= 1  # one bit of one weight
    damaged.write_bytes(content)
    monkeypatch.setenv("EMOTION_TRACKER_CACHE", str(tmp_path))
    with pytest.raises(AssetError, match=r"model.safetensors has SHA-256 .* pull --again pyannote-segmentation-3\.0$"):
        load_models(Config())


def test_a_short_word_is_not_repeated(telephone, transcribe):
    assert transcribe(telephone[int(7.4 * 16_000) : int(8.24 * 16_000)]).text == "Hello?"


@pytest.mark.parametrize("level", [0.003, 0.03, 0.3])
def test_noise_is_no_turn(level, activity):
    rng = np.random.default_rng(1)
    white = (level * rng.standard_normal(16_000 * 12)).astype(np.float32)
    assert turns_of(white, activity) == []
    hum = (level * np.sin(2 * np.pi * 50 * np.arange(16_000 * 12) / 16_000)).astype(np.float32)
    assert turns_of(hum, activity) == []
    assert turns_of(np.zeros(16_000 * 12, np.float32), activity) == []


def test_one_whisper_makes_words_and_voice_features(telephone):
    encoder = SpeechEncoder(folder("whisper-base"), threads=1)
    shared, alone = (Transcriber(folder("whisper-base"), "en-GB", TextGate(), of, beam=5) for of in (encoder, None))
    assert (shared.shares, alone.shares) == (True, False)
    said = telephone[int(10.7 * 16_000) : int(14.5 * 16_000)]
    heard = shared(said, encoder.encode(said)).text
    assert heard == alone(said).text == "Okay, I thought, you know, I heard a beep. This is Diane in New Jersey."
    with pytest.raises(ConfigError, match=r"^transcribe\.language: the model in .* does not know 'tlh'"):
        Transcriber(folder("whisper-base"), "tlh", TextGate())


def test_another_recogniser_has_an_encoder_of_its_own(telephone):
    heard = Transcriber(folder("whisper-tiny.en"), "en", TextGate())(telephone[int(14.5 * 16_000) : 18 * 16_000])
    assert "originally from Chicago" in heard.text


def test_a_folder_that_holds_no_whisper_is_one_line(tmp_path):
    with pytest.raises(AssetError, match=r"^transcribe\.model: .* holds no Whisper for CTranslate2"):
        load_models(Config(transcribe={"model": f"{tmp_path}/"}))
    for name in ("model.bin", "tokenizer.json", "config.json"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(AssetError, match=r"^transcribe\.model: no Whisper for CTranslate2 at [^\n]*$"):
        load_models(Config(transcribe={"model": f"{tmp_path}/"}))
