import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import anyio
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sessions import conversation, given_out, sessions
from tracker.errors import SessionError, SinkError
from tracker.events import to_json
from tracker.recordings.exports.write import export_session
from tracker.recordings.recorder import Recorder
from tracker.recordings.replay import read_session
from tracker.recordings.report.write import write_report
from tracker.recordings.retention import find_sessions, verify
from tracker.recordings.tracks import alignment
from tracker.sources.files import FileSource
from tracker.sources.media import AudioChunk
from tracker.sources.resample import to_pcm16

pytestmark = pytest.mark.anyio

RAMP = np.arange(-16_000, 16_000, dtype=np.int16)


def ramp(start: int, length: int, channel: int = 0) -> AudioChunk:
    """A stretch of an endless sound in which every sample tells its place."""
    values = RAMP[np.arange(start, start + length) % len(RAMP)]
    return AudioChunk(channel, start, values.astype(np.float32) / 32768)


async def record(folder: Path, events, chunks=None) -> Recorder:
    recorder = Recorder(folder, {"turns": {"vad_mode": 2}})
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            if chunks is not None:
                group.start_soon(recorder.record_audio, given_out(chunks))
            await recorder.run(given_out(events))
    return recorder


async def test_a_session_is_a_folder_of_plain_files(tmp_path):
    events = conversation()
    await record(tmp_path / "new" / "session", events, [ramp(0, 320), ramp(320, 320)])
    folder = tmp_path / "new" / "session"
    assert sorted(os.listdir(folder)) == ["audio-0.flac", "events.jsonl", "start.json", "stop.json"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "events.jsonl").read_text() == "".join(to_json(event) + "\n" for event in events)
    start, stop = (json.loads((folder / name).read_text()) for name in ("start.json", "stop.json"))
    assert start["format"] == stop["format"] == "emotion-tracker-session/1"
    assert start["config"] == {"turns": {"vad_mode": 2}}
    assert (start["started_at"], start["source"]) == ("2026-01-02T03:04:05.000Z", "telephone.wav")
    assert (stop["outcome"], stop["events"], stop["turns_ended"], stop["turns_skipped"]) == ("completed", 10, 3, 1)
    assert stop["audio"] == [{"channel": 0, "file": "audio-0.flac", "samples": 640, "silence": 0}]


async def test_of_two_sessions_that_begin_at_the_same_time_only_one_is_recorded_in_a_folder(tmp_path):
    first = Recorder(tmp_path, {})
    with pytest.raises(SessionError, match="is not empty; name a new folder"):
        Recorder(tmp_path, {})
    await first.run(given_out(conversation()))
    assert list(read_session(tmp_path).events) == conversation()


async def test_two_sessions_that_both_found_a_folder_empty_do_not_share_it(tmp_path, monkeypatch):
    Recorder(tmp_path, {})._log.close()
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(()))
    first = Recorder(tmp_path, {})
    with pytest.raises(SessionError, match="is not empty; name a new folder"):
        Recorder(tmp_path, {})
    await first.run(given_out(conversation()))


def test_a_session_that_never_begins_leaves_its_folder_as_it_was(tmp_path):
    recorder = Recorder(tmp_path, {})
    assert os.listdir(tmp_path) == ["events.jsonl"]
    del recorder
    assert os.listdir(tmp_path) == []


def fsync_fails(monkeypatch, number: int) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
async def test_a_file_system_that_cannot_sync_is_good_enough(tmp_path, monkeypatch, number):
    fsync_fails(monkeypatch, number)
    recorder = await record(tmp_path, conversation())
    assert recorder.fault == ""
    assert read_session(tmp_path).stop


async def test_a_disk_that_fails_to_sync_is_said(tmp_path, monkeypatch):
    fsync_fails(monkeypatch, errno.EIO)
    recorder = Recorder(tmp_path, {})
    with pytest.raises(SinkError, match="Input/output error; what was recorded is kept") as failed:
        await recorder.run(given_out(conversation()))
    assert recorder.fault == str(failed.value)


async def test_a_recording_without_an_end_is_not_whole(tmp_path):
    recorder = await record(tmp_path, conversation()[:-1])
    assert recorder.fault == "its end could not be written in time"


@settings(max_examples=25)
@given(sessions())
def test_what_is_recorded_is_what_is_read(events):
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(record, Path(folder), events)
        session = read_session(Path(folder))
    assert list(session.events) == events
    assert not session.torn
    assert session.stop
    assert session.stop.outcome == events[-1].outcome


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 5000)), max_size=8), st.integers(1, 2))
def test_a_samples_place_in_the_file_is_its_media_time(gaps_and_lengths, channels):
    chunks, at = [], 0
    for gap, length in gaps_and_lengths:
        at += gap
        chunks += [ramp(at, length, channel) for channel in range(channels)]
        at += length
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(record, Path(folder), conversation(), chunks)
        tracks = read_session(Path(folder)).stop.audio
        heard = [soundfile.read(Path(folder) / track.file, dtype="int16")[0] for track in tracks]
    assert len(heard) == (channels if chunks else 0)
    for samples, track in zip(heard, tracks, strict=True):
        assert len(samples) == track.samples == at
        assert track.silence == sum(gap for gap, _ in gaps_and_lengths)
        expected = np.zeros(at, np.int16)
        for chunk in chunks:
            expected[chunk.start : chunk.start + len(chunk.samples)] = to_pcm16(chunk.samples)
        assert np.array_equal(samples, expected)


async def test_folders_and_settings_need_not_be_unicode(tmp_path):
    name = os.fsdecode(b"gard\xe9")
    recorder = Recorder(tmp_path / name, {"session": {"notice": name}})
    await recorder.record_audio(given_out([ramp(0, 32_000)]))
    await recorder.run(given_out(conversation()))
    session = read_session(tmp_path / name)
    assert session.start.config == {"session": {"notice": "gard\ufffd"}}
    (found,) = find_sessions(tmp_path)
    assert verify(found) == []
    for kind in ("eaf", "vtt"):
        export_session(tmp_path / name, kind, tmp_path / f"{name}.{kind}")
    assert "./gard%E9/audio-0.flac" in (tmp_path / f"{name}.eaf").read_text()
    write_report(tmp_path / name, tmp_path / f"{name}.html", None, audio=True)
    assert "data:audio/" in (tmp_path / f"{name}.html").read_text()


async def test_a_channel_without_a_sample_has_no_file(tmp_path):
    await record(tmp_path, conversation(), [ramp(0, 0), ramp(0, 1, channel=1)])
    assert [track.file for track in read_session(tmp_path).stop.audio] == ["audio-1.flac"]


def test_audio_that_is_there_already_is_left_out():
    assert alignment(written=100, start=100, length=50) == (0, 0)
    assert alignment(written=100, start=130, length=50) == (30, 0)
    assert alignment(written=100, start=80, length=50) == (0, 20)
    assert alignment(written=100, start=10, length=50) == (0, 50)


def test_sixteen_bit_audio_stays_as_it_was_and_louder_is_clipped():
    every = np.arange(-32768, 32768, dtype=np.int16)
    assert np.array_equal(to_pcm16(every.astype(np.float32) / 32768), every)
    assert to_pcm16(np.array([1.0, 1.5, -1.5], np.float32)).tolist() == [32767, 32767, -32768]


async def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(SessionError, match="is not empty; name a new folder"):
        Recorder(tmp_path, {})
    with pytest.raises(SessionError, match="no session can be recorded there"):
        Recorder(tmp_path / "mine.txt", {})
    assert os.listdir(tmp_path) == ["mine.txt"]


async def test_a_full_disk_ends_the_recording_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("tracker.recordings.recorder._claim", lambda _: io.FileIO("/dev/full", "a"))
    recorder = Recorder(tmp_path, {})
    with pytest.raises(SinkError, match=r"events.jsonl in .* cannot be written: the disk is full; what was recorded"):
        await recorder.run(given_out(conversation()))
    assert (tmp_path / "start.json").is_file()


async def test_a_full_disk_under_the_audio_leaves_the_events_whole(tmp_path, monkeypatch):
    recorder = Recorder(tmp_path, {})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Full)
    events = conversation()
    with pytest.raises(SinkError, match=r"the audio in .* cannot be written: the disk is full"):
        await recorder.record_audio(given_out(_onto_full_disk(tmp_path)))
    await recorder.run(given_out(events))
    assert list(read_session(tmp_path).events) == events
    assert "the disk is full" in recorder.fault


class _Full:
    free = 0


def _onto_full_disk(folder: Path):
    """Sound that cannot be kept: its file is one that is always full."""
    for index in range(200):
        if index == 0:
            (folder / "audio-0.flac").symlink_to("/dev/full")
        yield ramp(index * 320, 320)


async def test_other_troubles_of_the_disk_are_named(tmp_path):
    recorder = Recorder(tmp_path, {})
    (tmp_path / "start.json.part").mkdir()
    with pytest.raises(SinkError, match="Is a directory"):
        await recorder.run(given_out(conversation()))


KILLED = """
import os, signal, sys, anyio
from pathlib import Path
from tests.support.sessions import Script, given_out
from tests.tracker.recordings.test_recorder import ramp
from tracker.recordings.recorder import Recorder

async def main():
    recorder = Recorder(Path(sys.argv[1]), {})
    script = Script().start()
    for second in range(9):
        script.says(second, second + 0.5, "Speaker 1", "still there")
    async def heard():
        for index in range(50 * 10):
            yield ramp(index * 320, 320)
        await recorder.run(given_out(script.events))
        os.kill(os.getpid(), signal.SIGKILL)
    await recorder.record_audio(heard())

anyio.run(main)
"""


async def test_a_killed_recording_is_readable(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    session = read_session(tmp_path)
    assert session.stop is None
    assert len(session.events) == 19
    async with FileSource(str(tmp_path / "audio-0.flac")).open() as chunks:
        heard = [chunk async for chunk in chunks]
    samples = np.concatenate([chunk.samples for chunk in heard])
    assert 160_000 - 4096 <= len(samples) <= 160_000
    assert np.array_equal(to_pcm16(samples), to_pcm16(ramp(0, len(samples)).samples))
