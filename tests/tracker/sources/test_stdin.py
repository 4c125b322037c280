import io
import os
import threading
from contextlib import contextmanager

import anyio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.recordings import hear, joined, pitch, tone
from tracker.errors import SourceError
from tracker.sources.media import RATE_HZ
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
        (b"RIFF....WAVEfmt ", "-: carries a WAV file, but raw audio is expected"),
        (b"fLaC" + bytes(100), "-: carries a FLAC file, but raw audio is expected"),
        (b"OggS" + bytes(100), "-: carries an Ogg file, but raw audio is expected"),
    ],
)
async def test_what_is_no_raw_audio_is_refused(data, message):
    chunks, error = await hear(StdinSource(io.BytesIO(data)))
    assert chunks == []
    assert type(error) is SourceError
    assert str(error).startswith(message)


class Broken(io.BytesIO):
    def read(self, size=-1):
        raise OSError(5, "Input/output error")


async def test_a_stream_that_breaks_is_an_error():
    _, error = await hear(StdinSource(Broken()))
    assert str(error) == "-: standard input cannot be read: Input/output error"
