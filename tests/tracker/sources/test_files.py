import logging
import os
import struct
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import anyio
import av
import numpy as np
import pytest
import soundfile

from tests.support import TOP
from tests.support.recordings import CODECS, hear, joined, pitch, tone, write
from tracker.errors import SourceError, SourceLost
from tracker.sources.files import FileSource
from tracker.sources.media import RATE_HZ

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("extension", CODECS)
@pytest.mark.parametrize(("rate_hz", "channels"), [(22050, 1), (44100, 2), (48000, 6)])
async def test_every_format_keeps_length_and_pitch(tmp_path, extension, rate_hz, channels):
    if extension in {"mp3", "mp2", "ts"}:
        channels = min(channels, 2)  # all that the codec has
    path = write(tmp_path / f"a.{extension}", np.stack([tone(440, rate_hz, 2)] * channels, 1), rate_hz)
    source = FileSource(str(path))
    chunks, error = await hear(source)
    assert error is None
    samples = joined(chunks)
    codec_padding_s = 0.1 if CODECS[path.suffix[1:]] in {"aac", "libmp3lame", "mp2"} else 0.001
    assert len(samples) / RATE_HZ == pytest.approx(2, abs=codec_padding_s)
    assert pitch(samples) == pytest.approx(440, abs=1)
    assert {len(chunk.samples) for chunk in chunks[:-1]} == {320}
    assert (source.name, source.live, source.channels, source.dropped) == (f"a.{extension}", False, 1, 0)


async def test_vorbis(tmp_path):
    soundfile.write(tmp_path / "a.ogg", tone(440, 44100, 1), 44100)
    samples = joined((await hear(FileSource(str(tmp_path / "a.ogg"))))[0])
    assert len(samples) / RATE_HZ == pytest.approx(1, abs=0.005)
    assert pitch(samples) == pytest.approx(440, abs=1)


@pytest.mark.parametrize("extension", ["wav", "flac"])
async def test_telephone_rate(tmp_path, extension):
    path = write(tmp_path / f"a.{extension}", tone(1000, 8000, 1)[:, None], 8000)
    chunks, _ = await hear(FileSource(str(path)))
    assert len(joined(chunks)) == RATE_HZ
    assert pitch(joined(chunks)) == pytest.approx(1000, abs=1)


async def test_separate_channels_keep_one_speaker_each(tmp_path):
    path = write(tmp_path / "two.flac", np.stack([tone(300, 44100, 1), tone(1200, 44100, 1)], 1), 44100)
    source = FileSource(str(path), channels="separate")
    chunks, _ = await hear(source)
    assert source.channels == 2
    assert [pitch(joined(chunks, channel)) for channel in (0, 1)] == pytest.approx([300, 1200], abs=1)
    assert all(a.start <= b.start for a, b in pairwise(chunks))


async def test_mixed_channels_are_their_mean(tmp_path):
    path = write(tmp_path / "two.wav", np.stack([tone(300, RATE_HZ, 1), np.zeros(RATE_HZ, np.float32)], 1), RATE_HZ)
    chunks, _ = await hear(FileSource(str(path)))
    assert np.abs(joined(chunks)).max() == pytest.approx(0.25, abs=0.001)


async def test_a_hole_in_the_time_stamps_is_silence(tmp_path):
    second = RATE_HZ
    path = write(tmp_path / "hole.mkv", tone(440, RATE_HZ, 2)[:, None], RATE_HZ, gap=(second, 3 * second))
    chunks, error = await hear(FileSource(str(path)))
    samples = joined(chunks)
    assert error is None
    assert len(samples) / second == pytest.approx(5, abs=0.1)
    quiet = np.flatnonzero(np.abs(samples) < 1e-4)
    assert np.abs(samples[round(1.1 * second) : round(3.9 * second)]).max() < 1e-3
    assert len(quiet) == pytest.approx(3 * second, abs=0.1 * second)
    assert np.abs(samples[round(4.1 * second) :]).max() == pytest.approx(0.5, abs=0.01)


async def test_a_leap_of_hours_in_the_time_stamps_is_closed(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    leap = (RATE_HZ, 5 * 3600 * RATE_HZ)
    chunks, error = await hear(
        FileSource(str(write(tmp_path / "leap.mkv", tone(440, RATE_HZ, 2)[:, None], RATE_HZ, gap=leap)))
    )
    assert error is None
    assert len(joined(chunks)) == 2 * RATE_HZ
    assert "time stamps jump; samples follow each other" in caplog.messages


async def test_joined_files_whose_time_starts_again_follow_each_other(tmp_path):
    part = write(tmp_path / "part.ts", tone(440, 44100, 1)[:, None], 44100).read_bytes()
    both = tmp_path / "both.ts"
    both.write_bytes(part + part)
    chunks, error = await hear(FileSource(str(both)))
    assert error is None
    assert len(joined(chunks)) / RATE_HZ == pytest.approx(2, abs=0.1)


async def test_damage_in_the_middle_is_a_hole(tmp_path, caplog):
    path = write(tmp_path / "a.m4a", tone(440, RATE_HZ, 4)[:, None], RATE_HZ)
    damaged = bytearray(path.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 2000] = bytes(2000)
    path.write_bytes(damaged)
    chunks, error = await hear(FileSource(str(path)))
    assert error is None
    assert len(joined(chunks)) / RATE_HZ == pytest.approx(4, abs=0.1)
    assert "packets could not be decoded" in caplog.messages


async def test_a_damaged_end_is_a_lost_source_after_all_that_could_be_heard(tmp_path):
    path = write(tmp_path / "a.mp4", tone(440, RATE_HZ, 4)[:, None], RATE_HZ, spoil_from=32)
    chunks, error = await hear(FileSource(str(path)))
    assert isinstance(error, SourceLost)
    assert str(error) == f"{path}: is damaged: nothing can be decoded after 2.0 s"
    assert len(joined(chunks)) / RATE_HZ == pytest.approx(2, abs=0.1)


async def test_a_file_that_was_cut_off_is_heard_to_its_end(tmp_path, caplog):
    path = write(tmp_path / "a.flac", tone(440, RATE_HZ, 4)[:, None], RATE_HZ)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    chunks, error = await hear(FileSource(str(path)))
    assert error is None
    assert 1 < len(joined(chunks)) / RATE_HZ < 3
    assert "file ends before its stated length" in caplog.messages


async def test_joined_files_may_change_their_rate(tmp_path):
    parts = [write(tmp_path / f"{rate_hz}.mp3", tone(440, rate_hz, 1)[:, None], rate_hz) for rate_hz in (44100, 22050)]
    both = tmp_path / "both.mp3"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    chunks, error = await hear(FileSource(str(both)))
    assert error is None
    samples = joined(chunks)
    assert len(samples) / RATE_HZ == pytest.approx(2, abs=0.2)
    assert pitch(samples[RATE_HZ // 4 : RATE_HZ // 2]) == pitch(samples[-RATE_HZ // 2 : -RATE_HZ // 4])


def folder(path):
    path.mkdir()


def fifo(path):
    os.mkfifo(path)


def text(path):
    path.write_text("Dear diary, this is not a sound.\n" * 40)


def nothing(path):
    path.touch()


def header_alone(path):
    soundfile.write(path, np.zeros(0), RATE_HZ)


def picture_alone(path):
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=5, width=64, height=64)
        for packet in [*stream.encode(av.VideoFrame(64, 64, "yuv420p")), *stream.encode()]:
            container.mux(packet)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (folder, "is a folder; name a media file in it"),
        (fifo, "is not an ordinary file; pipe raw audio into the source '-' instead"),
        (text, "is not a media file that can be read (invalid data found when processing input)"),
        (nothing, "is empty"),
        (header_alone, "holds no audio (its length is zero)"),
        (picture_alone, "has no audio that can be decoded (streams: video)"),
    ],
)
async def test_what_cannot_be_heard_is_refused_by_the_name_the_user_gave(tmp_path, monkeypatch, make, message):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "talk:1.wav")
    chunks, error = await hear(FileSource("talk:1.wav"))
    assert chunks == []
    assert type(error) is SourceError
    assert str(error) == f"talk:1.wav: {message}"


async def test_permission_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", tone(440, RATE_HZ, 1)[:, None], RATE_HZ)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(SourceError, match=r"a\.wav: may not be read; check its permissions"):
        async with FileSource(str(path)).open():
            pass


def wav(path, samples, rate_hz, channels, bits):
    """A WAV file of any shape, which no encoder would write."""
    data, size = samples.tobytes(), channels * bits // 8
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate_hz, rate_hz * size, size, bits)
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(head) + 8 + len(data)) + b"WAVE" + head)
    with path.open("ab") as file:
        file.write(b"data" + struct.pack("<I", len(data)) + data)
    return path


@pytest.mark.parametrize("extension", ["m4a", "flac", "webm"])
async def test_eight_channels_are_heard(tmp_path, extension):
    """Films have them. PyAV's arrays of so many separate channels end the process."""
    path = tmp_path / f"a.{extension}"
    with av.open(str(path), "w") as container:
        codec = {"m4a": "aac", "flac": "flac", "webm": "libopus"}[extension]
        stream = container.add_stream(codec, rate=48000, layout="7.1")
        sound = np.stack([tone(80, 48000, 2)] * 8)  # low enough for the subwoofer's channel
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T.reshape(1, -1)), format="flt", layout="7.1")
        frame.sample_rate = 48000
        resampler = av.AudioResampler(stream.codec_context.format, "7.1", 48000, 960)
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            container.mux(stream.encode(piece))
    for mode, count in (("mix", 1), ("separate", 8)):
        source = FileSource(str(path), mode)
        chunks, error = await hear(source)
        assert (error, source.channels) == (None, count)
        assert [pitch(joined(chunks, channel)) for channel in range(count)] == pytest.approx([80] * count, abs=1)


async def test_samples_of_64_bits(tmp_path):
    path = wav(tmp_path / "a.wav", (tone(440, RATE_HZ, 2) * 2.0**63).astype("<i8"), RATE_HZ, 1, 64)
    chunks, error = await hear(FileSource(str(path)))
    assert error is None
    assert pitch(joined(chunks)) == pytest.approx(440, abs=1)
    assert np.abs(joined(chunks)).max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("rate_hz", "channels", "message"),
    [
        (1, 1, "has 1 samples a second; 4000 to 1000000 can be heard"),
        (RATE_HZ, 65, "has 65 channels; 64 can be heard"),
        (RATE_HZ, 60_000, "is damaged: nothing can be decoded after 0.0 s"),
    ],
)
async def test_sound_of_an_impossible_shape_is_refused(tmp_path, rate_hz, channels, message):
    path = wav(tmp_path / "a.wav", np.zeros(240_000, np.uint8), rate_hz, channels, 8)
    _, error = await hear(FileSource(str(path)))
    assert str(error) == f"{path}: {message}"
    with pytest.raises(SourceError, match=message):
        FileSource(str(path)).check()


async def test_a_file_that_stands_for_days_ends_where_it_says(tmp_path, monkeypatch):
    monkeypatch.setattr("tracker.sources.decode.LONGEST_S", 3600.0)
    monkeypatch.setattr("tracker.sources.files.LONGEST_S", 3600.0)
    gap = (RATE_HZ, 3599 * RATE_HZ)
    path = write(tmp_path / "gaps.mkv", tone(440, RATE_HZ, 2)[:, None], RATE_HZ, gap=gap)
    source = FileSource(str(path))
    chunks, error = await hear(source)
    assert source.remarks == ("states a length of 1 h, of which 1 h are heard",)
    assert str(error) == f"{path}: is longer than 1 h; cut it into parts"
    assert isinstance(error, SourceLost)
    assert len(joined(chunks)) / RATE_HZ == pytest.approx(3600, abs=1)


def with_samples(boxes, count):
    """The boxes of an MP4 file, whose index claims so many samples of one byte."""
    claimed = {
        b"stsz": struct.pack(">III", 0, 1, count),
        b"stsc": struct.pack(">IIIII", 0, 1, 1, count, 1),
        b"stts": struct.pack(">IIII", 0, 1, count, 1024),
    }
    at, changed = 0, b""
    while at + 8 <= len(boxes):
        size, kind = struct.unpack_from(">I4s", boxes, at)
        inside, at = boxes[at + 8 : at + size], at + size
        if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
            inside = with_samples(inside, count)
        inside = claimed.get(kind, inside)
        changed += struct.pack(">I4s", 8 + len(inside), kind) + inside
    return changed


_MEMORY_OF = """
import resource, sys
from tracker.errors import SourceError
from tracker.sources.files import FileSource
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    FileSource(sys.argv[1]).check()
except SourceError:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_an_index_that_claims_millions_of_samples_takes_no_memory(tmp_path):
    """A gigabyte without a limit. In a process of its own, whose memory nothing else has grown."""
    path = write(tmp_path / "a.mp4", tone(440, RATE_HZ, 1)[:, None], RATE_HZ)
    path.write_bytes(with_samples(path.read_bytes(), 30_000_000))
    command = [sys.executable, "-c", _MEMORY_OF, str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": str(TOP)}
    )
    assert int(done.stdout) < 200  # MiB


async def test_a_change_of_the_number_of_channels_ends_separate_channels(tmp_path):
    mono = write(tmp_path / "one.mp3", tone(440, 44100, 1)[:, None], 44100)
    stereo = write(tmp_path / "two.mp3", np.stack([tone(440, 22050, 1)] * 2, 1), 22050)
    path = tmp_path / "both.mp3"
    path.write_bytes(mono.read_bytes() + stereo.read_bytes())
    source = FileSource(str(path), "separate")
    chunks, error = await hear(source)
    assert str(error) == f"{path}: changes from 1 to 2 channels; use --channels mix"
    assert isinstance(error, SourceLost)
    assert len(joined(chunks)) / RATE_HZ == pytest.approx(1, abs=0.1)
    assert (await hear(FileSource(str(path))))[1] is None


def two_tracks(path):
    """A recording of OBS: the desktop and the microphone, the second begins a second later."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono") for _ in range(2)]
        for stream, hz, start in zip(streams, (300, 1200), (0, RATE_HZ), strict=True):
            samples = (tone(hz, RATE_HZ, 3 - start / RATE_HZ) * 32767).astype(np.int16)
            for at in range(0, len(samples), 1600):
                frame = av.AudioFrame.from_ndarray(samples[None, at : at + 1600], format="s16", layout="mono")
                frame.sample_rate, frame.pts = RATE_HZ, start + at
                container.mux(stream.encode(frame))
    return str(path)


async def test_one_of_several_audio_tracks_is_heard_and_said(tmp_path):
    path = two_tracks(tmp_path / "obs.mkv")
    hint = "; input.track chooses another, --channels separate hears each as a speaker"
    for track, heard, hz, more in ((0, 1, 300, hint), (1, 1, 300, ""), (2, 2, 1200, "")):
        source = FileSource(path, track=track)
        chunks, error = await hear(source)
        assert error is None
        assert source.remarks == (f"hears audio track {heard} of 2{more}",)
        assert pitch(joined(chunks)[-RATE_HZ:]) == pytest.approx(hz, abs=1)
    with pytest.raises(SourceError, match=r"obs.mkv: has no audio track 3 \(input.track\), its last one is 2"):
        FileSource(path, track=3).check()


async def test_each_audio_track_is_a_separate_speaker(tmp_path):
    source = FileSource(two_tracks(tmp_path / "obs.mkv"), "separate")
    chunks, error = await hear(source)
    assert (error, source.channels) == (None, 2)
    assert source.remarks == ("hears each of its 2 audio tracks as a speaker; input.track chooses one",)
    desktop, voice = joined(chunks, 0), joined(chunks, 1)
    assert [len(desktop) / RATE_HZ, len(voice) / RATE_HZ] == pytest.approx([3, 3], abs=0.01)
    assert not voice[: RATE_HZ - 100].any()
    assert [pitch(part[-RATE_HZ:]) for part in (desktop, voice)] == pytest.approx([300, 1200], abs=1)
    assert max(abs(a.start - b.start) for a, b in pairwise(chunks)) <= 320


async def test_stop_ends_every_track(tmp_path):
    source = FileSource(two_tracks(tmp_path / "obs.mkv"), "separate")
    async with source.open() as stream:
        await anext(stream)
        source.stop()
        assert len([chunk async for chunk in stream]) <= 1


async def test_stop_ends_at_once(tmp_path):
    source = FileSource(str(write(tmp_path / "a.wav", tone(440, RATE_HZ, 5)[:, None], RATE_HZ)))
    chunks = []
    async with source.open() as stream:
        async for chunk in stream:
            chunks.append(chunk)
            if len(chunks) == 3:
                source.stop()
    assert len(chunks) == 3


def held_open(path):
    return [entry for entry in os.listdir("/proc/self/fd") if os.path.realpath(f"/proc/self/fd/{entry}") == str(path)]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
async def test_only_what_is_listened_to_is_read(tmp_path):
    path = write(tmp_path / "a.wav", np.zeros((RATE_HZ * 60, 1), np.float32), RATE_HZ)
    source = FileSource(str(path))
    async with source.open() as stream:
        await anext(stream)
        [entry] = held_open(path)
        facts = dict(line.split(":") for line in Path(f"/proc/self/fdinfo/{entry}").read_text().splitlines())
    assert int(facts["pos"]) < path.stat().st_size / 10


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
async def test_a_cancelled_listener_leaves_nothing_open(tmp_path):
    path = write(tmp_path / "a.wav", np.zeros((RATE_HZ * 60, 1), np.float32), RATE_HZ)
    before = set(threading.enumerate())
    with anyio.CancelScope() as scope:
        async with FileSource(str(path)).open() as stream:
            async for _ in stream:
                scope.cancel()
                await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert not held_open(path)
    assert {thread.name for thread in set(threading.enumerate()) - before} <= {"AnyIO worker thread"}
