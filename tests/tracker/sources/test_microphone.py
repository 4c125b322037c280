import threading
from contextlib import asynccontextmanager

import anyio
import numpy as np
import pytest

from tests.support.portaudio import FakePortAudio
from tracker.errors import SourceError, SourceLost
from tracker.sources.microphone import MicrophoneSource

pytestmark = pytest.mark.anyio

SECOND_NS = 1_000_000_000


class ManualClock:
    """Time passes when the test says so."""

    def __init__(self) -> None:
        self.now = 0
        self._moved = anyio.Event()

    def now_ns(self) -> int:
        return self.now

    async def sleep_until_ns(self, moment_ns: int) -> None:
        while self.now < moment_ns:
            await self._moved.wait()

    def move(self, ns: int) -> None:
        self.now += ns
        self._moved.set()
        self._moved = anyio.Event()


class Bench:
    """A microphone under test, and all that is heard from it."""

    def __init__(self, portaudio: FakePortAudio, **settings) -> None:
        self.portaudio = portaudio
        self.clock = ManualClock()
        self.source = MicrophoneSource("", clock=self.clock, portaudio=portaudio, **settings)
        self.chunks = []
        self.error = None
        self.ended = False

    @property
    def stream(self):
        return self.portaudio.streams[-1]

    async def listen(self, *, task_status) -> None:
        try:
            async with self.source.open() as chunks:
                task_status.started()
                async for chunk in chunks:
                    self.chunks.append(chunk)
        except SourceError as error:
            self.error = error
        self.ended = True

    def heard(self):
        return [(chunk.start, len(chunk.samples)) for chunk in self.chunks]


@asynccontextmanager
async def listening(portaudio=None, **settings):
    bench = Bench(portaudio or FakePortAudio(), **settings)
    async with anyio.create_task_group() as group:
        await group.start(bench.listen)
        yield bench
        bench.source.stop()
    assert bench.ended
    assert bench.stream.closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "microphone closing"]


async def test_what_is_captured_is_heard_as_it_comes_at_16_khz():
    async with listening() as bench:
        assert (bench.stream.samplerate, bench.stream.blocksize, bench.stream.channels) == (48000, 960, 2)
        for blocks in range(1, 4):
            bench.stream.feed(10)
            await anyio.wait_all_tasks_blocked()
            assert len(bench.chunks) >= 10 * blocks - 2  # less what the resampling filter holds
    assert bench.heard() == [(at, 320) for at in range(0, 30 * 320, 320)]
    assert np.concatenate([chunk.samples for chunk in bench.chunks])[1000:8000] == pytest.approx(0.25, abs=1e-3)
    assert bench.error is None
    assert (bench.source.name, bench.source.live, bench.source.channels, bench.source.dropped) == ("mic", True, 1, 0)


async def test_channels_are_kept_apart_on_request():
    async with listening(FakePortAudio(("Desk", "ALSA", 4)), channels="separate") as bench:
        bench.stream.feed(2)
    assert bench.source.channels == bench.stream.channels == 4
    assert [(chunk.channel, chunk.start) for chunk in bench.chunks] == [(n, at) for at in (0, 320) for n in range(4)]


@pytest.mark.parametrize(("mode", "claimed", "opened"), [("separate", 32, 2), ("mix", 4, 2), ("mix", 1, 1)])
async def test_how_many_channels_are_opened(mode, claimed, opened):
    async with listening(FakePortAudio(("Desk", "ALSA", claimed)), channels=mode) as bench:
        assert bench.stream.channels == opened


async def test_while_nobody_listens_the_oldest_goes_and_the_rest_keeps_its_time():
    portaudio = FakePortAudio()
    source = MicrophoneSource("", clock=ManualClock(), portaudio=portaudio, hold_s=0.2)
    chunks = []
    async with source.open() as stream:
        portaudio.streams[0].feed(5)
        chunks.append(await anext(stream))
        portaudio.streams[0].feed(45)  # a whole second in all, of which 0.2 s are held
        source.stop()
        chunks += [chunk async for chunk in stream]
    sizes = [len(chunk.samples) for chunk in chunks]
    assert chunks[-1].start + sizes[-1] == 16000
    assert source.dropped == 16000 - sum(sizes) > 0
    kept_from = 16000 - 10 * 320
    assert [chunk.start for chunk in chunks if chunk.start >= kept_from] == list(range(kept_from, 16000, 320))


async def test_overflows_of_the_system_are_counted():
    async with listening() as bench:
        bench.stream.feed(2, overflow=True)
        bench.stream.feed(1)
    assert bench.source.overflows == 2


async def test_a_device_that_is_pulled_out_is_lost_after_all_it_gave():
    async with listening() as bench:
        bench.stream.feed(50)
        bench.stream.end()
        await anyio.wait_all_tasks_blocked()
        assert isinstance(bench.error, SourceLost)
    assert sum(size for _, size in bench.heard()) == 16000
    assert str(bench.error) == "mic: the microphone was removed or stopped; everything until then is kept"


async def test_a_device_that_falls_silent_for_good_is_lost():
    async with listening(silent_s=3) as bench:
        for _ in range(5):
            bench.clock.move(2 * SECOND_NS)
            bench.stream.feed(1)
            await anyio.wait_all_tasks_blocked()
        assert bench.error is None
        bench.clock.move(3 * SECOND_NS)
        await anyio.wait_all_tasks_blocked()
        assert isinstance(bench.error, SourceLost)
    assert str(bench.error) == "mic: the microphone delivered nothing for 3 s; everything until then is kept"
    assert sum(size for _, size in bench.heard()) == 5 * 320


async def test_stop_closes_the_device_at_once_and_delivers_what_was_captured():
    portaudio = FakePortAudio()
    source = MicrophoneSource("", clock=ManualClock(), portaudio=portaudio)
    async with source.open() as stream:
        portaudio.streams[0].feed(5)
        source.stop()
        assert portaudio.streams[0].closed.wait(5)  # although nobody listens
        portaudio.streams[0].feed(5)  # too late
        assert sum([len(chunk.samples) async for chunk in stream]) == 5 * 320
        source.stop()


async def test_stop_before_it_is_open_hears_nothing():
    source = MicrophoneSource("", clock=ManualClock(), portaudio=FakePortAudio())
    source.stop()
    async with source.open() as stream:
        assert [chunk async for chunk in stream] == []


async def test_a_cancelled_listener_closes_the_device():
    bench = Bench(FakePortAudio())
    async with anyio.create_task_group() as group:
        await group.start(bench.listen)
        group.cancel_scope.cancel()
    assert bench.stream.closed.is_set()


async def test_a_device_that_never_closes_is_left_behind(monkeypatch, caplog):
    monkeypatch.setattr("tracker.sources.microphone._CLOSE_S", 0.05)
    portaudio, held = FakePortAudio(), threading.Event()
    source = MicrophoneSource("", clock=ManualClock(), portaudio=portaudio)
    async with source.open():
        monkeypatch.setattr(portaudio.streams[0], "abort", held.wait)
    held.set()
    assert "microphone does not close" in caplog.messages
    assert portaudio.streams[0].closed.wait(5)


async def test_a_device_that_refuses_is_named():
    source = MicrophoneSource("", clock=ManualClock(), portaudio=FakePortAudio(refusal="Device unavailable"))
    with pytest.raises(SourceError, match="mic: Room cannot be opened: Device unavailable"):
        async with source.open():
            pass


async def test_while_paused_the_device_is_closed_and_media_time_stands_still():
    async with listening() as at:
        first = at.stream
        first.feed(50)
        await anyio.wait_all_tasks_blocked()
        at.source.pause()
        assert await anyio.to_thread.run_sync(first.closed.wait, 5)
        await anyio.wait_all_tasks_blocked()
        at.clock.move(3600 * SECOND_NS)  # no watchdog watches what is closed on purpose
        await anyio.wait_all_tasks_blocked()
        assert not at.ended
        at.source.resume()
        with anyio.fail_after(5):
            while at.stream is first or not at.stream.running:
                await anyio.sleep(0.001)
        at.stream.feed(50)
        await anyio.wait_all_tasks_blocked()
        at.source.stop()
    assert at.error is None
    starts = [chunk.start for chunk in at.chunks]
    ends = [chunk.start + len(chunk.samples) for chunk in at.chunks]
    assert starts[1:] == ends[:-1]
    assert ends[-1] == 2 * 16_000
    assert at.source.dropped == 0


async def test_a_pause_can_be_ended_by_the_end():
    async with listening() as at:
        at.stream.feed(5)
        at.source.pause()
        await anyio.wait_all_tasks_blocked()
        at.source.stop()
    assert at.error is None
    assert len(at.portaudio.streams) == 1
