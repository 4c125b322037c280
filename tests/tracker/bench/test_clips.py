"""A data set's own recordings: what is kept of them, and a small made-up MELD.Raw judged by the real models."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from adapters.contract import MELD_LABELS, Absent, DialogueState, EmotionScores, Features, TurnInput, Utterance
from adapters.datasets.records import Line
from adapters.features import acoustic, visual
from tests.support.command import asset, telephone
from tracker.bench.clips import CASES, Observed, Pair, judge, kept

HEARD = Features(acoustic.SPEC, np.ones((4, acoustic.SPEC.dim), np.float32))


def test_what_was_observed_is_kept(tmp_path: Path) -> None:
    clip, asked = tmp_path / "clip.wav", []
    clip.write_bytes(b"sound")

    def observe() -> Observed:
        asked.append(1)
        return Observed("What?", HEARD, Absent("no face"))

    for _ in range(2):
        found = kept(tmp_path, clip, observe)
        assert isinstance(found, Observed)
        assert (found.text, found.video) == ("What?", Absent("no face"))
        assert isinstance(found.audio, Features)
        np.testing.assert_array_equal(found.audio.values, HEARD.values)
    assert len(asked) == 1
    (place,) = tmp_path.glob("*.npz")
    place.write_bytes(place.read_bytes()[:40])  # as an interrupted run would leave it
    kept(tmp_path, clip, observe)
    clip.write_bytes(b"another sound")
    kept(tmp_path, clip, observe)
    assert len(asked) == 3


def test_why_nothing_was_observed_is_kept(tmp_path: Path) -> None:
    (tmp_path / "clip.wav").write_bytes(b"sound")
    assert kept(tmp_path, tmp_path / "clip.wav", lambda: Absent("silent")) == Absent("silent")
    assert kept(tmp_path, tmp_path / "clip.wav", lambda: pytest.fail("observed again")) == Absent("silent")


class Listening:
    """Remembers what it was given, and finds everything neutral."""

    labels = MELD_LABELS

    def __init__(self) -> None:
        self.given: list[TurnInput] = []

    def start(self) -> DialogueState:
        return DialogueState()

    def follow(self, turn: TurnInput, state: DialogueState) -> tuple[EmotionScores, DialogueState]:
        self.given.append(turn)
        used = dict.fromkeys(("text", "audio", "video"), "used")
        return EmotionScores(MELD_LABELS, (1.0, *[0.0] * 6), used), state  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("heard", [False, True])
def test_each_case_is_given_its_modalities_and_the_dialogue_before(name: str, heard: bool) -> None:
    seen = Features(visual.SPEC, np.zeros((2, visual.SPEC.dim), np.float32))
    lines = [Line(Utterance("Ann", f"Line {number}."), number) for number in range(3)]
    dialogue = [Pair(lines[0], Observed("Lime 0.", HEARD, seen)), lines[1], Pair(lines[2], Observed("", HEARD, seen))]
    model = Listening()
    judged = list(judge(model, [dialogue], CASES[name], heard=heard))  # type: ignore[arg-type]
    assert [label for label, _ in judged] == [0, 2]
    words, voice, face = CASES[name]
    first, last = model.given
    assert first.utterance.text == ("Lime 0." if heard else "Line 0.") * words
    assert [one.text for one in last.history] == [first.utterance.text, "Line 1."] * words
    assert last.utterance.text == ("" if heard else "Line 2.") * words
    assert (first.audio is HEARD, first.video is seen) == (voice, face)


@pytest.mark.models
@pytest.mark.data
def test_a_small_made_up_meld_raw(data_dir: Path, tmp_path: Path) -> None:
    for name in ("whisper-base", "centerface", "mini-xception-fer"):
        asset(name)
    meld = tmp_path / "data" / "meld"
    clips = meld / "dev_splits_complete"
    clips.mkdir(parents=True)
    rows = [f"Line {n}.,Ann,{label},0,{n}" for n, label in enumerate(("neutral", "joy", "anger", "neutral", "sadness"))]
    text = "\n".join(["Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID", *rows])
    (meld / "dev_sent_emo.csv").write_text(text, encoding="utf-8")
    call, rate = soundfile.read(telephone(), dtype="float32")
    soundfile.write(clips / "dia0_utt0.wav", call[int(6.5 * rate) : 9 * rate], rate)
    shutil.copy(data_dir / "video" / "test_video_audio_5_seconds.mp4", clips / "dia0_utt1.mp4")
    soundfile.write(clips / "dia0_utt2.wav", np.zeros(rate), rate)
    (clips / "dia0_utt3.mp4").write_bytes(b"no media file")
    command = [sys.executable, "-m", "tracker.bench.clips", "--data", tmp_path / "data", "--out", tmp_path / "kept"]
    first, again = (subprocess.run(command, capture_output=True, text=True, timeout=300) for _ in range(2))
    assert first.returncode == again.returncode == 0, first.stderr
    assert "2 turns with clips, 2 with a voice, 1 with a face" in first.stderr
    assert "'silent': 1" in first.stderr
    assert "'no clip dia0_utt4': 1" in first.stderr
    assert len(first.stdout.splitlines()) == 2 + len(CASES)
    assert first.stdout == again.stdout
