"""Voices and faces of a data set's own recordings: what is kept, what is refused, and training with them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from adapters.contract import MELD_LABELS, Absent, Features, Utterance
from adapters.datasets import meld
from adapters.datasets.records import Dialogues, Line
from adapters.errors import AdapterError
from adapters.features import acoustic, visual
from adapters.readout.fusion import LateFusion
from adapters.readout.head import EmotionHead, HeadShape
from adapters.training.fusion import fit_recorded
from adapters.training.modality_scores import TurnScores
from adapters.training.recipe import FitSpec, read_recipe, shipped_recipe
from adapters.training.recorded import Recorded, Recordings, place, read_recorded, recorded_scores
from adapters.training.sources import Encoders
from adapters.training.train import train
from tests.support.corpora import StillEncoder, look, write_corpora
from tests.support.tiny import write_backbone

NONE = Absent("no clip")


def sound(seed: int) -> Features:
    values = np.random.default_rng(seed).normal(size=(20, acoustic.SPEC.dim)).astype(np.float32)
    return Features(acoustic.SPEC, values)


def picture(seed: int) -> Features:
    values = np.random.default_rng(seed).normal(size=(3, visual.SPEC.dim)).astype(np.float32)
    return Features(visual.SPEC, values)


def dialogues(*turns: tuple[str, int | None]) -> Dialogues:
    lines = tuple(Line(Utterance(speaker, "So."), label) for speaker, label in turns)
    return Dialogues((lines,))


def test_what_was_recorded_comes_back_for_the_labelled_turns(tmp_path: Path):
    recordings, path = Recordings(), place(tmp_path, "meld", "dev")
    recordings.add(3, sound(0), NONE)
    recordings.add(0, NONE, picture(0))
    recordings.write(path)
    found = read_recorded(path, dialogues(("Ann", 3), ("Ben", None), ("Ann", 0)))
    assert found.has_voice.tolist() == [True, False]
    assert found.has_face.tolist() == [False, True]
    assert found.labels.tolist() == [3, 0]
    assert found.speakers == ((0, "Ann"), (0, "Ann"))
    assert found.voice[0].abs().sum() > 0
    assert not found.voice[1].any()


@pytest.mark.parametrize("harm", ["none", "half", "labels", "version", "width", "missing"])
def test_what_is_no_recording_of_these_turns_is_refused(tmp_path: Path, harm: str):
    recordings, path = Recordings(), place(tmp_path, "meld", "dev")
    recordings.add(3, sound(0), NONE)
    recordings.write(path)
    tensors = load_file(path)
    match harm:
        case "none":
            path.unlink()
        case "half":
            path.write_bytes(path.read_bytes()[:50])
        case "labels":
            save_file(tensors | {"labels": torch.tensor([4])}, path)
        case "version":
            save_file(tensors | {"specs": tensors["specs"] + 1}, path)
        case "width":
            save_file(tensors | {"voice": torch.zeros(1, 4)}, path)
        case "missing":
            save_file({name: tensor for name, tensor in tensors.items() if name != "has_face"}, path)
    with pytest.raises(AdapterError, match=r"make it by python -m tracker\.bench\.clips"):
        read_recorded(path, dialogues(("Ann", 3)))


def test_a_voice_is_compared_with_its_speaker_s_earlier_turns_in_the_dialogue(monkeypatch: pytest.MonkeyPatch):
    shape = HeadShape((1,), 8, 7, 2, 4, voice_hidden=4, face_hidden=None)
    head = EmotionHead(shape).train(False)
    assert head.voice is not None
    width = len(head.voice.mean_voice)
    voice = torch.arange(1.0, 6.0)[:, None].expand(5, width)
    there = torch.tensor([True, False, True, True, True])
    speakers = ((0, "Ann"), (0, "Ann"), (0, "Ben"), (0, "Ann"), (1, "Ann"))
    seen: list[tuple[list[float], list[float]]] = []

    def normalise(summary: torch.Tensor, before: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
        seen.append((before[:, 0].tolist(), turns.tolist()))
        return summary

    monkeypatch.setattr(head.voice, "normalise", normalise)
    recorded = Recorded(voice, there, torch.zeros(5, 1), there & False, torch.zeros(5, dtype=torch.int64), speakers)
    scores = recorded_scores(head, torch.zeros(5, 7).log_softmax(-1), recorded)
    assert seen == [([0.0, 1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0, 0.0])]
    assert scores.face is None
    every = torch.ones(5, dtype=torch.bool)
    assert scores.masked(every, every, every).has_voice.equal(there)


def test_no_turn_weighs_for_itself():
    """Voices of the second half say the opposite: weights of the first half must judge it, and be wrong."""
    labels = torch.arange(7).repeat(40)
    told = torch.nn.functional.one_hot(labels, 7).float()
    told[140:] = told[140:].roll(1, dims=1)
    voice = (told * 4).log_softmax(-1)
    silent = torch.zeros(280, 7).log_softmax(-1)
    turns = TurnScores(silent.expand(2, 2, -1, -1), voice, None)
    metrics, sets = fit_recorded(LateFusion(7), [turns], labels, MELD_LABELS.labels)
    assert metrics["words and voice (recorded)"]["accuracy"] < 1 / 7
    assert set(sets.limits) == {"words", "voice", "words and voice"}


def test_training_with_recordings_instead_of_simulated_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EMOTION_TRACKER_CACHE", str(tmp_path / "cache"))
    data, folder = write_corpora(tmp_path / "data"), tmp_path / "recordings"
    folder.mkdir()
    for split in ("train", "dev"):
        recordings = Recordings()
        lines = [line for one in meld.load(data / "meld", split).dialogues for line in one]
        for number, line in enumerate(lines):
            assert line.label is not None
            recordings.add(line.label, sound(number) if number % 3 else NONE, picture(number) if number % 2 else NONE)
        recordings.write(place(folder, "meld", split))
    fit = FitSpec(2, 8, 1e-2, 0.0, 0.0, (0.0, 0.0), 0.0)
    shipped = read_recipe(shipped_recipe("default"))
    small = {"layers": (1, 2), "members": 2, "words_hidden": 4, "voice_hidden": 4, "face_hidden": 4, "face_turns": 10}
    small |= {"max_tokens": 64, "words": fit, "voice": fit, "face": fit, "lora": None, "dtype": "float32"}
    recipe = replace(
        shipped,
        backbone=str(write_backbone(tmp_path / "llm", hidden_size=64)),
        data=replace(shipped.data, also=(), faces="fer2013"),
        **small,
    )
    encoders = Encoders(StillEncoder, lambda: look)
    about = train(recipe, data, tmp_path / "out", 0, encoders, recordings=folder)
    assert about["recorded"]["fitting"] == {"turns": 28, "voices": 18, "faces": 14}
    assert "simulated_shares" not in about
    assert "words, voice and face (recorded)" in about["dev"]
    assert "on the recordings of MELD" in about["limits"]
    assert any("the recordings' voices and faces" in name for name in about["data"])
    with pytest.raises(AdapterError, match="leave out --recordings"):
        train(read_recipe(shipped_recipe("mse")), data, tmp_path / "out", 0, encoders, recordings=folder)
