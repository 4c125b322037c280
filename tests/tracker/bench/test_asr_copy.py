"""MELD as a recogniser hears it."""

import csv
import shutil

import pytest
from typer.testing import CliRunner

from adapters.contract import MELD_LABELS
from adapters.datasets import meld
from tests.support.command import asset
from tracker.bench.asr_copy import plain, speak, voice

pytestmark = pytest.mark.models


def test_each_speaker_has_a_voice_that_stays():
    assert voice("Ross") == voice("Ross")
    assert len({voice(name) for name in ("Ross", "Rachel", "Joey", "Monica", "Chandler", "Phoebe")}) > 3


def test_a_line_is_spoken_and_written_down(tmp_path):
    if not shutil.which("espeak-ng"):
        pytest.skip("no espeak-ng: install Debian's espeak-ng")
    asset("whisper-base")
    import typer

    from tracker.bench.asr_copy import main

    app = typer.Typer()
    app.command()(main)
    columns = ["Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID"]
    (tmp_path / "data" / "meld").mkdir(parents=True)
    with (tmp_path / "data" / "meld" / "dev_sent_emo.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerow(dict(zip(columns, ["I am very happy about this.", "Ross", "joy", 0, 0], strict=True)))
    arguments = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "noisy")]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "1 lines" in done.output
    ((line,),) = meld.load(tmp_path / "noisy" / "meld", "dev").dialogues
    assert "happy about this" in plain(line.utterance.text)
    assert MELD_LABELS.labels[line.label] == "joy"


def test_speech_fits_the_recogniser():
    if not shutil.which("espeak-ng"):
        pytest.skip("no espeak-ng: install Debian's espeak-ng")
    assert len(speak("word " * 500, "Ross")) == 28 * 16_000
