"""A session as a program uses it: the command line is not involved."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import numpy as np
import pytest
import soundfile

import tracker
from tests.support import TOP
from tests.support.command import telephone
from tests.support.fakes import Collect, FakeSource
from tests.support.sessions import bare
from tracker.errors import ConfigError, SourceError
from tracker.recordings.replay import read_session
from tracker.sources.media import AudioChunk

FAST = tracker.Config(input={"pace": "fast"})


def test_importing_costs_nothing():
    code = (
        "import os, sys; before = dict(os.environ); import tracker; "
        "heavy = {'numpy', 'torch', 'pydantic', 'anyio', 'av'} & set(sys.modules); "
        "print(sorted(heavy), dict(os.environ) == before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=TOP, check=True)
    assert done.stdout == "[] True\n"


def test_nothing_waits_for_torch_before_models_are_loaded():
    code = "import sys, tracker.cli.run; print({'torch', 'transformers', 'onnxruntime'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=TOP, check=True)
    assert done.stdout == "set()\n"


def test_every_public_name_is_there():
    assert all(getattr(tracker, name) for name in tracker.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tracker.nothing


@pytest.mark.anyio
@pytest.mark.parametrize("source", ["mic", tracker.PushSource(16_000, live=True), FakeSource("", live=True)])
async def test_what_listens_live_needs_a_purpose(source):
    with pytest.raises(ConfigError, match=r"^session\.purpose: .* needs a declared purpose"):
        async with tracker.open_session(source):
            pytest.fail("it has begun")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (object(), {}, "^source: object has not all that a tracker.Source has"),
        ("call.wav", {"sinks": [object()]}, "^sinks: object has not all that a tracker.Sink has"),
        ("call.wav", {"on_exit": "later"}, "^on_exit: must be one of finish, abort, not 'later'$"),
    ],
)
async def test_what_is_no_source_no_sink_and_no_way_out_is_refused(source, options, message):
    with pytest.raises(ConfigError, match=message):
        async with tracker.open_session(source, **options):
            pytest.fail("it has begun")


@pytest.mark.anyio
async def test_a_source_that_is_not_there_is_refused_before_models_are_loaded(tmp_path):
    with pytest.raises(SourceError, match="no such file"):
        async with tracker.open_session(tmp_path / "nothing.wav"):
            pytest.fail("it has begun")


@pytest.fixture(scope="module")
def models():
    telephone()
    return tracker.load_models(FAST)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


async def events_of(source, models, **options):
    async with tracker.open_session(source, FAST, models=models, **options) as session:
        events = [event async for event in session]
    assert session.ended == events[-1]
    return events


@pytest.mark.anyio
@pytest.mark.models
async def test_a_file_and_the_same_audio_pushed_in_pieces_give_the_same_events(models):
    samples, rate = soundfile.read(telephone(), dtype="int16")
    wanted = await events_of(telephone(), models)
    assert [event.type for event in wanted].count("turn.ended") >= 5
    source = tracker.PushSource(rate, name=wanted[0].source)

    async def push() -> None:
        for piece in np.array_split(samples, 700):
            assert await source.feed(piece)
        await source.finish()
        assert not await source.feed(samples[:10])

    async with anyio.create_task_group() as group:
        group.start_soon(push)
        pushed = await events_of(source, models)
    assert [without_video(event) for event in pushed] == [without_video(event) for event in wanted]


def without_video(event):
    """A file says ``no picture`` where a source object says ``no camera``, of turns that are skipped as well."""
    if event.type == "turn.ended":
        event = event.model_copy(update={"modalities": event.modalities | {"video": ""}})
    if event.type == "turn.skipped":
        event = event.model_copy(update={"detail": re.sub("; no (picture|camera)$", "", event.detail)})
    return bare(event)


@pytest.mark.anyio
@pytest.mark.models
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_sessions_share_models_and_own_sinks_get_the_events(models):
    alone = await events_of(telephone(), models)
    sinks, events = (Collect(), Collect()), {}

    async def one(number: int) -> None:
        events[number] = await events_of(telephone(), models, sinks=[sinks[number]])

    async with anyio.create_task_group() as group:
        group.start_soon(one, 0)
        group.start_soon(one, 1)
    for number in (0, 1):
        assert [bare(event) for event in events[number]] == [bare(event) for event in alone]
        assert sinks[number].events == events[number]


@pytest.mark.anyio
@pytest.mark.models
@pytest.mark.parametrize(
    ("anyio_backend", "how", "outcome"), [("asyncio", "finish", "stopped"), ("trio", "abort", "aborted")]
)
async def test_leaving_early_ends_the_session_as_told(how, outcome, models, tmp_path):
    collected = Collect()
    async with tracker.open_session(
        telephone(), tracker.Config(), models=models, record=tmp_path / "kept", sinks=[collected], on_exit=how
    ) as session:
        session.mark("begun")
        async for event in session:
            if event.type == "turn.started":
                break
    last = collected.events[-1]
    assert (last.type, last.outcome) == ("session.ended", outcome)
    assert last.turns_started == last.turns_ended + last.turns_skipped
    assert "moment.marked" in [event.type for event in collected.events]
    assert read_session(tmp_path / "kept").stop.outcome == outcome


@pytest.mark.anyio
@pytest.mark.models
async def test_pausing_and_renaming_are_events(models):
    seen = []
    async with tracker.open_session(telephone(), tracker.Config(), models=models) as session:
        async for event in session:
            seen.append(event.type)
            if event.type == "session.started":
                session.pause()
                session.rename("Speaker 1", "Ada")
                session.resume()
            if event.type == "listening.resumed":
                session.stop()
    assert seen == ["session.started", "listening.paused", "speaker.renamed", "listening.resumed", "session.ended"]
    assert session.ended.outcome == "stopped"


async def fail_in_the_block(models, sink):
    async with tracker.open_session(telephone(), models=models, sinks=[sink]) as session:
        await anext(session)
        raise KeyError("mine")


@pytest.mark.anyio
@pytest.mark.models
async def test_an_error_in_the_block_aborts_the_session_and_comes_out_as_it_is(models):
    collected = Collect()
    with pytest.raises(KeyError, match="mine"):
        await fail_in_the_block(models, collected)
    assert collected.events[-1].outcome == "aborted"


@pytest.mark.anyio
@pytest.mark.models
async def test_a_cancelled_block_aborts_the_session(models):
    collected = Collect()
    with anyio.CancelScope() as scope:
        async with tracker.open_session(telephone(), models=models, sinks=[collected]) as session:
            await anext(session)
            scope.cancel()
            await anext(session)
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert collected.events[-1].outcome == "aborted"


class Stuck(FakeSource):
    """Hangs, while it is opened or once it is read, and hears nothing of being stopped."""

    def __init__(self, opens: bool) -> None:
        super().__init__("")
        self._opens = opens

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator]:
        if not self._opens:
            await anyio.sleep_forever()
        yield self._chunks()

    async def _chunks(self) -> AsyncIterator:
        await anyio.sleep_forever()
        yield


@pytest.mark.anyio
@pytest.mark.models
@pytest.mark.parametrize("opens", [False, True])
async def test_a_cancellation_ends_a_session_that_opens_or_finishes_for_ever(opens, models):
    collected, begun = Collect(), False
    with anyio.move_on_after(0.5) as scope:
        async with tracker.open_session(Stuck(opens), FAST, models=models, sinks=[collected]):
            begun = True
    assert scope.cancelled_caught
    assert begun is opens
    assert [event.outcome for event in collected.events[1:]] == (["aborted"] if opens else [])


class Stubborn(FakeSource):
    """Fails, in its own way, at whatever it is told."""

    def _fail(self) -> None:
        raise RuntimeError("no driver")

    pause = resume = stop = _fail


async def tell_and_listen(told, models, sink):
    async with tracker.open_session(Stubborn("", endless=True), FAST, models=models, sinks=[sink]) as session:
        getattr(session, told)()
        async for _ in session:
            pass


@pytest.mark.anyio
@pytest.mark.models
@pytest.mark.parametrize("told", ["pause", "stop"])
async def test_a_source_that_fails_at_what_it_is_told_is_lost(told, models):
    collected = Collect()
    with pytest.raises(SourceError, match=r"^fake: failed: RuntimeError: no driver$"):
        await tell_and_listen(told, models, collected)
    assert collected.events[-1].outcome == "failed"


class Lost(FakeSource):
    """Goes away in the middle, in a way that is no error of ours."""

    def __init__(self, error: Exception) -> None:
        super().__init__("." * 20)
        self._error = error

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator]:
        async def chunks():
            async for chunk in self._chunks():
                yield chunk
            raise self._error

        yield chunks()


@pytest.mark.anyio
@pytest.mark.models
@pytest.mark.parametrize(
    ("error", "message"),
    [(SourceError("the cable is out"), "^the cable is out$"), (KeyError("rate"), "^fake: failed: KeyError: 'rate'$")],
)
async def test_a_source_that_is_lost_raises_once_its_events_were_taken(error, message, models):
    collected = Collect()
    with pytest.raises(SourceError, match=message):
        await events_of(Lost(error), models, sinks=[collected])
    assert collected.events[-1].outcome == "failed"


class Closed(FakeSource):
    """Cannot be opened, in a way that is no error of ours."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator]:
        raise RuntimeError("no driver")
        yield


@pytest.mark.anyio
@pytest.mark.models
async def test_a_source_that_fails_in_its_own_way_is_one_line(models):
    with pytest.raises(SourceError, match=r"^fake: cannot be opened: RuntimeError: no driver$"):
        await events_of(Closed(""), models)


class Wrong(FakeSource):
    """Gives a channel that it does not have."""

    async def _chunks(self) -> AsyncIterator:
        yield AudioChunk(1, 0, np.zeros(320, np.float32))


@pytest.mark.anyio
@pytest.mark.models
async def test_a_source_that_gives_something_else_is_one_line(models):
    with pytest.raises(SourceError, match=r"^fake: failed: ValueError: gave .* float32 of channel 1; .* of 1 channels"):
        await events_of(Wrong(""), models)


@pytest.mark.anyio
@pytest.mark.models
async def test_models_that_were_loaded_without_what_a_session_needs_are_refused(models):
    config = tracker.Config(turns={"endpoint": "adaptive"})
    with pytest.raises(ConfigError, match=r"^turns\.endpoint: the models were loaded without"):
        async with tracker.open_session(FakeSource(""), config, models=models):
            pytest.fail("it has begun")


@pytest.mark.anyio
@pytest.mark.models
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_publishing_needs_asyncio(models):
    with pytest.raises(tracker.TrackerError, match="needs an asyncio event loop"):
        async with tracker.open_session(telephone(), FAST, models=models, publish=True):
            pytest.fail("it has begun")


@pytest.mark.anyio
async def test_a_live_pushed_source_drops_what_nobody_takes_and_says_where():
    source = tracker.PushSource(16_000, live=True)
    for _ in range(70):
        assert await source.feed(np.zeros(160, np.float32))
    assert source.dropped == 6 * 160
    await source.finish()
    async with source.open() as chunks:
        got = [chunk async for chunk in chunks]
    assert sum(len(chunk.samples) for chunk in got) == 64 * 160


def test_a_pushed_array_must_have_its_channels():
    source = tracker.PushSource(16_000, 2)
    with pytest.raises(ValueError, match=r"shape \(3,\) is not frames of 2 channels"):
        anyio.run(source.feed, np.zeros(3, np.float32))
