import io
import os
import threading
from contextlib import contextmanager

import anyio
import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.recordings import CODECS, hear, joined, pitch, tone, write
from tracker.errors import SourceError
from tracker.sources.media import RATE_HZ
from tracker.sources.signatures import index_is_last
from tracker.sources.stdin import StdinSource

pytestmark = pytest.mark.anyio


def pcm(samples) -> bytes:
    return np.round(np.asarray(samples) * 32768).astype("<i2").tobytes()


class Pieces(io.BytesIO):
    """A stream that gives its bytes in given lengths."""

    def __init__(self, data: bytes, lengths: list[int]) -> None:
        super().__init__(data)
        self.lengths = lengths

    def read(self, size=-1):
        return super().read(self.lengths.pop(0) if self.lengths else size)


@contextmanager
def pipe():
    """A reader as standard input is one, and the descriptor that the other program writes to."""
    reading, writing = os.pipe()
    with open(reading, "rb") as reader, open(writing, "wb", buffering=0) as writer:
        yield reader, writer


@settings(deadline=None)
@given(
    count=st.integers(1, 3000),
    lengths=st.lists(st.integers(1, 999), max_size=20),
    width=st.integers(1, 3),
    odd=st.integers(0, 1),
)
def test_any_chunking_gives_the_same_samples(count, lengths, width, odd):
    samples = np.random.default_rng(count).integers(-(2**15), 2**15, (count, width))
    data = samples.astype("<i2").tobytes() + b"\x01" * odd
    source = StdinSource(Pieces(data, lengths), "separate", width=width)
    chunks, error = anyio.run(hear, source)
    assert error is None
    assert source.channels == width
    for channel in range(width):
        np.testing.assert_array_equal(joined(chunks, channel) * 32768, samples[:, channel])


async def test_other_rates_and_channels():
    left, right = tone(440, 44100, 1), tone(1200, 44100, 1)
    source = StdinSource(io.BytesIO(pcm(np.stack([left, right], 1))), "separate", rate_hz=44100, width=2)
    chunks, _ = await hear(source)
    assert len(joined(chunks)) == RATE_HZ
    assert [pitch(joined(chunks, channel)) for channel in (0, 1)] == pytest.approx([440, 1200], abs=1)
    assert (source.name, source.live, source.dropped) == ("stdin", False, 0)


async def test_a_pipe_is_read_as_it_is_written_until_it_closes():
    with pipe() as (reader, writer):
        async with StdinSource(reader).open() as chunks:
            for _ in range(3):
                writer.write(pcm(np.zeros(320)))
                assert len((await anext(chunks)).samples) == 320
            writer.write(pcm(np.zeros(7)) + b"\x00")
            writer.close()
            assert [(chunk.start, len(chunk.samples)) async for chunk in chunks] == [(960, 7)]


async def test_stop_works_while_the_other_program_is_silent():
    before = threading.active_count()
    with pipe() as (reader, writer):
        source = StdinSource(reader)
        heard = []
        begun = anyio.Event()

        async def listen():
            async with source.open() as chunks:
                async for chunk in chunks:
                    heard.append(chunk)
                    begun.set()

        writer.write(pcm(np.zeros(330)))
        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            await begun.wait()
            await anyio.wait_all_tasks_blocked()
            source.stop()
    assert [len(chunk.samples) for chunk in heard] == [320, 10]
    assert threading.active_count() == before


async def test_a_cancelled_listener_leaves_no_thread_behind():
    before = threading.active_count()
    with pipe() as (reader, _):
        async with anyio.create_task_group() as group:
            group.start_soon(hear, StdinSource(reader))
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    assert threading.active_count() == before


async def test_a_redirected_file(tmp_path):
    path = tmp_path / "raw"
    path.write_bytes(pcm(tone(440, RATE_HZ, 5)))
    with open(path, "rb") as file:
        chunks, error = await hear(StdinSource(file))
    assert error is None
    assert len(joined(chunks)) == 5 * RATE_HZ


async def test_a_terminal_is_refused():
    main, terminal = os.openpty()
    with open(terminal, "rb", buffering=0) as stream:
        chunks, error = await hear(StdinSource(stream))
    os.close(main)
    assert chunks == []
    assert str(error) == (
        "-: reads raw audio, but standard input is a terminal; "
        "try: ffmpeg -i FILE -f s16le -ac 1 -ar 16000 - | tracker run -"
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "-: standard input ended before any audio came"),
        (b"\x00", "-: standard input ended before any audio came"),
        (b"RIFF....WAVEfmt ", "-: is not a media file that can be read (invalid data found when processing input)"),
        (b"OggS" + bytes(100), "-: is not a media file that can be read (end of file); if it can be played"),
        (b"\x89PNG" + bytes(100), "-: carries a picture, but sound is expected; try: ffmpeg "),
        (b"PK\x03\x04" + bytes(100), "-: carries a ZIP archive, but sound is expected"),
        (b"#EXTM3U\nhttp://127.0.0.1/a.ts\n" * 9, "-: carries text, but sound is expected"),
    ],
)
async def test_what_is_no_sound_is_refused(data, message):
    chunks, error = await hear(StdinSource(io.BytesIO(data)))
    assert chunks == []
    assert type(error) is SourceError
    assert str(error).startswith(message)


@pytest.mark.parametrize("extension", CODECS)
async def test_a_piped_media_file_is_heard_like_the_file(tmp_path, extension):
    path = write(tmp_path / f"a.{extension}", tone(440, 48000, 2)[:, None], 48000)
    chunks, error = await hear(StdinSource(Pieces(path.read_bytes(), [1, 2, 3, 5000])))
    assert error is None
    assert len(joined(chunks)) / RATE_HZ == pytest.approx(2, abs=0.1)
    assert pitch(joined(chunks)) == pytest.approx(440, abs=1)


@pytest.mark.parametrize("index", ["last", "first"])
async def test_a_piped_mp4_is_heard_wherever_its_index_is(tmp_path, index):
    path = write(tmp_path / "a.mp4", tone(440, 48000, 20)[:, None], 48000)
    if index == "first":
        slow, path = path, tmp_path / "fast.mp4"
        with av.open(str(slow)) as file, av.open(str(path), "w", options={"movflags": "faststart"}) as fast:
            stream = fast.add_stream_from_template(file.streams.audio[0])
            for packet in filter(lambda packet: packet.size, file.demux(audio=0)):
                packet.stream = stream
                fast.mux(packet)
    assert index_is_last(path.read_bytes()) == (index == "last")
    chunks, error = await hear(StdinSource(io.BytesIO(path.read_bytes())))
    assert error is None
    assert len(joined(chunks)) / RATE_HZ == pytest.approx(20, abs=0.1)


async def test_the_channels_of_a_piped_media_file_are_said(tmp_path):
    path = write(tmp_path / "a.flac", np.stack([tone(300, 48000, 1), tone(1200, 48000, 1)], 1), 48000)
    chunks, error = await hear(StdinSource(io.BytesIO(path.read_bytes()), "separate"))
    assert (chunks, str(error)) == ([], "-: carries 2 channels, not 1; give --stdin-channels 2")
    chunks, error = await hear(StdinSource(io.BytesIO(path.read_bytes()), "separate", width=2))
    assert error is None
    assert [pitch(joined(chunks, channel)) for channel in (0, 1)] == pytest.approx([300, 1200], abs=1)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.parametrize("end", ["stop", "cancel"])
async def test_a_piped_media_file_can_be_left_while_the_other_program_is_silent(tmp_path, end, anyio_backend):
    data = write(tmp_path / "a.mp3", tone(440, RATE_HZ, 5)[:, None], RATE_HZ).read_bytes()
    heard = []
    with pipe() as (reader, writer):
        source = StdinSource(reader)

        async def listen():
            async with source.open() as chunks:
                async for chunk in chunks:
                    heard.append(chunk)

        writer.write(data[: len(data) // 2])
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(listen)
                while len(heard) < 50:
                    await anyio.lowlevel.checkpoint()
                if end == "stop":
                    source.stop()
                else:
                    group.cancel_scope.cancel()
    assert 50 <= len(heard) < 150


@pytest.mark.parametrize("count", [3, 100, 2000])
async def test_a_piped_media_file_can_be_stopped_before_anything_of_it_is_heard(tmp_path, count):
    data = write(tmp_path / "a.mp3", tone(440, RATE_HZ, 5)[:, None], RATE_HZ).read_bytes()
    heard = []
    with pipe() as (reader, writer):
        source = StdinSource(reader)

        async def listen():
            heard.append(await hear(source))

        writer.write(data[:count])
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(listen)
                await anyio.wait_all_tasks_blocked()
                source.stop()
    ((_, error),) = heard
    assert error is None


class Broken(io.BytesIO):
    def read(self, size=-1):
        raise OSError(5, "Input/output error")


async def test_a_stream_that_breaks_is_an_error():
    _, error = await hear(StdinSource(Broken()))
    assert str(error) == "-: standard input cannot be read: Input/output error"
