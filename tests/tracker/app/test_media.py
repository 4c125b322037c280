"""Media files and pipes as people have them, through the whole program with real models."""

import subprocess

import pytest

from tests.support.command import Tracker, telephone, tracker, turns
from tests.support.fuzz_media import make, mutated
from tracker.errors import SourceError
from tracker.sources.files import FileSource

pytestmark = pytest.mark.models

OFFLINE = ("--pace", "fast", "--json", "--mqtt", "off")


def ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True)


def test_each_audio_track_of_a_recording_is_a_speaker(tmp_path):
    call, path = str(telephone()), str(tmp_path / "obs.mkv")
    ffmpeg("-t", "8", "-i", call, "-ss", "8", "-t", "8", "-i", call, "-map", "0:a", "-map", "1:a", path)
    done = tracker("run", path, *OFFLINE, "--channels", "separate", folder=tmp_path)
    assert (done.code, done.said) == (
        0,
        "obs.mkv: hears each of its 2 audio tracks as a speaker; input.track chooses one\n",
    )
    assert {turn.channel for turn in turns(done.events)} == {0, 1}


def test_a_piped_media_file_is_judged(tmp_path):
    ffmpeg("-i", str(telephone()), "-t", "8", str(tmp_path / "call.mp3"))
    run = Tracker("run", "-", *OFFLINE, folder=tmp_path)
    run.process.stdin.buffer.write((tmp_path / "call.mp3").read_bytes())  # type: ignore[union-attr]
    done = run.finish()
    assert (done.code, done.said) == (0, "")
    assert turns(done.events)


def test_damaged_media_leave_whole_sessions_or_one_line(tmp_path):
    """Those that can be opened run beside each other; each has its last event, whatever becomes of it."""
    files = make(tmp_path)
    opened, refused = [], []
    for seed, name in enumerate(files):
        path = tmp_path / f"damaged{seed}-{name}"
        path.write_bytes(mutated(files[name], files["a.flac"], f"{seed} whole"))
        try:
            FileSource(str(path)).check()
        except SourceError:
            refused.append(str(path))
        else:
            opened.append(str(path))
    assert opened
    assert refused
    done = tracker("run", *opened, *OFFLINE, folder=tmp_path)
    assert done.code in (0, 3)
    assert "Traceback" not in done.stderr
    assert "should not happen" not in done.stderr
    ended = [event for event in done.events if event.type == "session.ended"]
    assert {event.outcome for event in ended} <= {"completed", "failed"}
    assert len(ended) == len(opened)
    done = tracker("run", refused[0], *OFFLINE, folder=tmp_path)
    assert (done.code, done.out, done.stderr.count("\n")) == (3, "", 1)
