"""Voices that are known from earlier sessions: what is kept of them, for how long, and how they are told again."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.command import asset, tracker, turns
from tracker.app.enrol import voice_of
from tracker.app.voices import VoiceFolder, known_voices
from tracker.config import SpeakersConfig
from tracker.errors import ConfigError, SessionError, SourceError
from tracker.observe.speakers import DIM
from tracker.turns.turn import Turn

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ANNA = np.array([0.6, 0.8, *[0] * (DIM - 2)], np.float32)


def settings(folder, **changed) -> SpeakersConfig:
    return SpeakersConfig(enrolled=str(folder), **changed)


def test_a_voice_is_kept_as_long_as_was_said(tmp_path):
    chosen = settings(tmp_path / "voices", enrolled_days=30)
    VoiceFolder(chosen).put("Anna", chosen.model, "in writing", ANNA, NOW)
    (file,) = (tmp_path / "voices").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "Anna" not in file.name
    (known,) = known_voices(chosen, NOW + timedelta(days=29))
    assert known.name == "Anna"
    np.testing.assert_allclose(known.embedding, ANNA, atol=1e-6)
    assert known_voices(chosen, NOW + timedelta(days=30)) == []
    assert not any((tmp_path / "voices").iterdir())


def test_a_voice_is_replaced_and_forgotten_by_its_name(tmp_path):
    chosen = settings(tmp_path, enrolled_days=0)
    folder = VoiceFolder(chosen)
    for name in ("Anna", "../../Ben\n", "Anna"):
        folder.put(name, chosen.model, "said yes", ANNA, NOW)
    assert sorted(one.name for one in folder) == ["../../Ben\n", "Anna"]
    assert len(known_voices(chosen, NOW + timedelta(days=99_999))) == 2
    folder.forget("../../Ben\n")
    folder.forget("Anna")
    with pytest.raises(SessionError, match="no voice of Anna is enrolled"):
        folder.forget("Anna")
    assert known_voices(chosen, NOW) == []


def test_a_voice_whose_file_was_copied_or_renamed_goes_with_its_time_all_the_same(tmp_path):
    chosen = settings(tmp_path, enrolled_days=1)
    VoiceFolder(chosen).put("Anna", chosen.model, "yes", ANNA, NOW)
    (file,) = tmp_path.iterdir()
    for copy in ("a", "b"):
        (tmp_path / f"{copy}.voice.json").write_bytes(file.read_bytes())
    assert VoiceFolder(chosen).forget_expired(NOW + timedelta(days=1)) == ["Anna"] * 3
    assert not any(tmp_path.iterdir())


def test_without_a_folder_nobody_is_known_and_a_wrong_one_is_said(tmp_path):
    assert known_voices(SpeakersConfig(), NOW) == ()
    with pytest.raises(ConfigError, match="names no folder"):
        VoiceFolder(SpeakersConfig())
    with pytest.raises(ConfigError, match="there is no folder"):
        known_voices(settings(tmp_path / "none"), NOW)
    VoiceFolder(settings(tmp_path)).put("Anna", "another-model", "yes", ANNA, NOW)
    with pytest.raises(ConfigError, match="Anna enrolled with another model"):
        known_voices(settings(tmp_path), NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"embedding": [1e999] * DIM}, {"embedding": [0] * DIM}, {"embedding": [1] * DIM}, {"embedding": []},
        {"embedding": [1.0, 0.0]}, {"name": ""}, {"more": 1}, {"consent": ""}, {"keep_until": "tomorrow"},
        {"enrolled_at": "2026-01-01T00:00:00"},
    ],
)  # fmt: skip
def test_what_is_no_voice_print_is_refused(tmp_path, change):
    chosen = settings(tmp_path)
    VoiceFolder(chosen).put("Anna", chosen.model, "yes", ANNA, NOW)
    (file,) = tmp_path.iterdir()
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(SessionError, match="is no voice print"):
        known_voices(chosen, NOW)


def turn(seconds: float, overlap_s: float = 0.0) -> Turn:
    ns = round(seconds * 1e9)
    return Turn(1, 0, 0, ns, ns, "pause", ns, np.zeros(16, np.float32), overlap_ns=round(overlap_s * 1e9))


def test_a_voice_is_that_of_enough_clear_speech_of_one_person():
    chosen = SpeakersConfig()
    voices = iter([[1, 0.2, 0], [1, 0, 0.2]])
    found = voice_of([turn(3), turn(3)], lambda _: np.array(next(voices)) / np.sqrt(1.04), chosen, "a.wav")
    np.testing.assert_allclose(found, np.array([1, 0.1, 0.1]) / np.sqrt(1.02), atol=1e-6)
    with pytest.raises(SourceError, match=r"a\.wav: holds 3\.0 s of clear speech"):
        voice_of([turn(3), turn(1), turn(1), turn(4, overlap_s=0.1)], lambda _: ANNA, chosen, "a.wav")
    other = iter([np.array([1, 0]), np.array([0, 1])])
    with pytest.raises(SourceError, match="more than one voice"):
        voice_of([turn(3), turn(3)], lambda _: next(other), chosen, "a.wav")


def recording(data: Path, to: Path, *clips: tuple[int, int, int, int]) -> Path:
    """Clips of RAVDESS (actor, emotion, statement, repetition), half a second apart."""
    parts = []
    for actor, emotion, statement, repetition in clips:
        file = (
            data
            / "ravdess"
            / f"actor_{actor:02}"
            / f"03-01-{emotion:02}-01-{statement:02}-{repetition:02}-{actor:02}.flac"
        )
        parts += [soundfile.read(file, dtype="float32")[0], np.zeros(8000, np.float32)]
    soundfile.write(to, np.concatenate(parts), 16_000)
    return to


@pytest.mark.models
def test_somebody_who_agreed_is_known_in_the_next_session(tmp_path, data_dir):
    asset("whisper-base")
    enrolled = recording(data_dir, tmp_path / "anna.flac", *[(6, emotion, n, 1) for emotion in (1, 2) for n in (1, 2)])
    talk = recording(data_dir, tmp_path / "talk.flac", (5, 2, 1, 2), (6, 2, 1, 2), (5, 2, 2, 2), (6, 2, 2, 2))
    words = ("speakers", "enrol", "Anna", str(enrolled), "--set", "speakers.enrolled=voices")
    refused = tracker(*words, folder=tmp_path)
    assert refused.code == 2
    assert "say in words how Anna agreed" in refused.said
    assert not (tmp_path / "voices").exists()
    done = tracker(*words, "--consent", "in writing", folder=tmp_path)
    assert (done.code, "Anna is enrolled" in done.out) == (0, True)
    listed = tracker("speakers", "list", "--set", "speakers.enrolled=voices", folder=tmp_path).out
    assert "Anna" in listed
    assert "in writing" in listed
    both = tracker("speakers", "enrol", "Both", str(talk), *words[4:], "--consent", "yes", folder=tmp_path)
    assert (both.code, "has more than one voice" in both.said) == (3, True)
    for chosen, name in (("voices", "Anna"), ("", None)):
        run = tracker(
            "run", str(talk), "--json", "--pace", "fast", "--mqtt", "off", "--set", f"speakers.enrolled={chosen}",
            folder=tmp_path,
        )  # fmt: skip
        first, second, *_ = [turn.speaker_name for turn in turns(run.events)]
        assert (first, second) == (None, name)
    assert tracker("speakers", "forget", "Anna", "--set", "speakers.enrolled=voices", folder=tmp_path).code == 0
    assert not any((tmp_path / "voices").iterdir())
