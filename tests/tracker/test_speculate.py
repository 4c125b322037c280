"""Speculative work on a turn: what it is good for is counted, and nothing that is published depends on it."""

import io
import json
from contextlib import nullcontext
from dataclasses import replace

import anyio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from adapters.contract import MELD_LABELS, Absent
from tests.support.fakes import (
    INFO,
    LIMITS,
    Collect,
    CollectAll,
    FakeClock,
    FakeSource,
    observed,
    outlets,
    scores,
    steps,
)
from tests.support.sessions import bare
from tracker import pipeline
from tracker.dashboard.view import View, fold, fold_preview
from tracker.dialogue import Dialogue
from tracker.events import from_json, json_schema, preview_from_json, to_json
from tracker.metrics.gauges import Gauges
from tracker.observe.observe import SpeechResult, TurnObserver, VoiceNamer
from tracker.observe.records import FailedTurn, ObservedTurn, Transcript
from tracker.observe.speakers import SpeakerRegistry
from tracker.observe.video.faces import no_faces
from tracker.pipeline import Outlets, Steps
from tracker.recognise import JudgedTurn, Recognise
from tracker.recordings.recorder import Recorder
from tracker.recordings.replay import read_session
from tracker.runtime.clock import NS_PER_S
from tracker.runtime.control import Control
from tracker.runtime.memo import Memo
from tracker.sinks.jsonl import JsonLines
from tracker.speculate import Speculation, SpeculationCounts, SpeculativeSteps
from tracker.turns.turn import Turn

pytestmark = pytest.mark.anyio


def turn(number: int = 1, end: int = 10) -> Turn:
    return Turn(number, 0, 0, end, end, "pause", end, np.zeros(16, np.float32))


class Worker:
    """Steps that are let go on one by one, and tell what they were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.go = anyio.Semaphore(0)
        self.counts = SpeculationCounts()
        self.has_time = True
        self.previews: list[JudgedTurn] = []
        self.clock = FakeClock()
        self.speculation = Speculation(
            SpeculativeSteps(self.observe, self.recognise, True),
            self.clock,
            lambda: self.has_time,
            self.counts,
            self.previews.append,
        )

    async def observe(self, turn: Turn) -> ObservedTurn | FailedTurn:
        self.asked.append(("observe", turn.number))
        await self.go.acquire()
        return observed(turn)

    async def recognise(self, seen: ObservedTurn) -> JudgedTurn:
        self.asked.append(("recognise", seen.turn.number))
        await self.go.acquire()
        return JudgedTurn(seen, scores(), 1.0)

    async def let(self, *, go: int) -> None:
        for _ in range(go):
            self.go.release()
        await anyio.wait_all_tasks_blocked()


@pytest.fixture
async def worker():
    worker = Worker()
    async with anyio.create_task_group() as group:
        group.start_soon(worker.speculation.run)
        yield worker
        worker.speculation.close()
        await worker.let(go=10)


async def test_a_turn_that_is_over_was_worth_it(worker: Worker):
    worker.speculation.turn_paused(turn())
    await worker.let(go=2)
    assert worker.asked == [("observe", 1), ("recognise", 1)]
    assert [preview.observed.turn.number for preview in worker.previews] == [1]
    worker.speculation.turn_ended(turn())
    assert (worker.counts.begun, worker.counts.hits, worker.counts.wasted, worker.counts.wasted_ms) == (1, 1, 0, 0.0)
    assert worker.counts.previews == 1
    assert worker.counts.spent_ms > 0


@pytest.mark.parametrize("why", ["went on", "cut elsewhere"])
async def test_a_turn_that_went_on_was_not(worker: Worker, why: str):
    worker.speculation.turn_paused(turn())
    await worker.let(go=2)
    if why == "went on":
        worker.speculation.turn_resumed(1)
        worker.speculation.turn_paused(turn(end=12))
        await worker.let(go=0)
    else:
        worker.speculation.turn_ended(turn(end=9))
    assert (worker.counts.begun, worker.counts.hits, worker.counts.wasted) == (1, 0, 1)
    assert worker.counts.wasted_ms == worker.counts.spent_ms > 0


async def test_a_turn_that_somebody_else_went_on_after_was_worth_it(worker: Worker):
    worker.speculation.turn_paused(turn())
    await worker.let(go=0)
    worker.speculation.turn_resumed(1)
    await worker.let(go=2)
    assert worker.asked == [("observe", 1), ("recognise", 1)]
    assert worker.previews == []
    worker.speculation.turn_ended(turn())
    assert (worker.counts.hits, worker.counts.wasted) == (1, 0)


async def test_what_is_decided_meanwhile_is_not_judged_ahead(worker: Worker):
    worker.speculation.turn_paused(turn())
    await worker.let(go=0)
    worker.speculation.turn_ended(turn())
    assert worker.counts.hits == 0  # it is not known yet how long it took
    await worker.let(go=1)
    assert worker.asked == [("observe", 1)]
    assert (worker.counts.hits, worker.previews) == (1, [])


async def test_one_turn_is_worked_on_at_a_time_and_the_newest_comes_next(worker: Worker):
    worker.speculation.turn_paused(turn(1))
    await worker.let(go=0)
    for number in (2, 3, 4):
        worker.speculation.turn_paused(turn(number))
    worker.speculation.turn_resumed(1)
    assert worker.asked == [("observe", 1)]
    await worker.let(go=3)
    assert worker.asked == [("observe", 1), ("observe", 4), ("recognise", 4)]


async def test_without_time_nothing_is_done(worker: Worker):
    worker.has_time = False
    worker.speculation.turn_paused(turn())
    await worker.let(go=2)
    assert worker.asked == []
    assert worker.counts.left_out == 1


async def test_a_turn_that_goes_on_is_shown_and_neither_hits_nor_is_wasted(worker: Worker):
    worker.speculation.turn_goes_on(turn(end=8))
    await worker.let(go=0)
    worker.speculation.turn_goes_on(turn(end=9))  # the first is not read yet
    await worker.let(go=2)
    worker.clock.now += NS_PER_S
    worker.speculation.turn_goes_on(turn(end=10))
    await worker.let(go=2)
    assert [preview.observed.turn.end_ns for preview in worker.previews] == [8, 10]
    worker.speculation.turn_ended(turn(end=10))
    assert (worker.counts.begun, worker.counts.hits, worker.counts.wasted, worker.counts.wasted_ms) == (0, 0, 0, 0.0)
    assert worker.counts.spent_ms > 0


async def test_after_a_long_reading_of_a_turn_that_goes_on_comes_a_long_rest(worker: Worker):
    worker.speculation.turn_goes_on(turn(end=8))
    await worker.let(go=0)
    worker.clock.now += NS_PER_S
    await worker.let(go=2)
    worker.speculation.turn_goes_on(turn(end=9))
    await worker.let(go=2)
    assert len(worker.previews) == 1
    worker.clock.now += NS_PER_S
    worker.speculation.turn_goes_on(turn(end=10))
    await worker.let(go=2)
    assert [preview.observed.turn.end_ns for preview in worker.previews] == [8, 10]


async def test_a_turn_that_may_be_over_comes_before_one_that_goes_on(worker: Worker):
    worker.speculation.turn_goes_on(turn(end=8))
    await worker.let(go=0)
    worker.speculation.turn_paused(turn(end=10))
    worker.speculation.turn_goes_on(turn(2, end=11))
    await worker.let(go=3)
    assert worker.asked == [("observe", 1), ("observe", 1), ("recognise", 1)]
    worker.speculation.turn_goes_on(turn(2, end=12))  # while the first may still end so
    await worker.let(go=0)
    worker.speculation.turn_ended(turn(end=10))
    assert [preview.observed.turn.end_ns for preview in worker.previews] == [10]
    assert (worker.counts.begun, worker.counts.hits, worker.counts.wasted) == (1, 1, 0)


async def test_a_turn_that_did_not_end_where_it_seemed_to_is_shown_again(worker: Worker):
    worker.speculation.turn_paused(turn(end=10))
    await worker.let(go=2)
    worker.speculation.turn_goes_on(turn(end=NS_PER_S))
    await worker.let(go=0)
    worker.speculation.turn_goes_on(turn(end=NS_PER_S + 11))
    await worker.let(go=2)
    assert [preview.observed.turn.end_ns for preview in worker.previews] == [10, NS_PER_S + 11]
    assert (worker.counts.begun, worker.counts.wasted) == (1, 1)


@pytest.mark.parametrize("without", ["time", "previews"])
async def test_without_time_or_anybody_to_see_it_no_turn_is_shown(worker: Worker, without: str):
    worker.has_time = without != "time"
    if without == "previews":
        worker.speculation._steps = SpeculativeSteps(worker.observe, worker.recognise)
    worker.speculation.turn_goes_on(turn())
    await worker.let(go=2)
    assert worker.asked == []


def test_once_is_once():
    asked = []
    once = Memo(lambda number: asked.append(number) or -number, key=lambda number: number // 10)
    assert [once(number) for number in (1, 2, 11, 1)] == [-1, -1, -11, -1]
    assert asked == [1, 11, 1]


class Patient(FakeSource):
    """Waits after each frame until all that could be done speculatively is done."""

    async def _chunks(self):
        async for chunk in super()._chunks():
            yield chunk
            for _ in range(60):
                await anyio.lowlevel.checkpoint()


async def without_threads(call, *args, limiter=None, abandon_on_cancel=False):
    async with limiter or nullcontext():
        await anyio.lowlevel.checkpoint()
        return call(*args)


@pytest.fixture(autouse=True)
def models_on_the_event_loop(monkeypatch):
    monkeypatch.setattr("anyio.to_thread.run_sync", without_threads)


class Follower:
    """A recogniser whose scores tell all that they were made from."""

    labels = MELD_LABELS

    def __init__(self) -> None:
        self.calls = 0

    def start(self):
        return None

    def follow(self, turn, state):
        self.calls += 1
        told = (turn.utterance, turn.history, isinstance(turn.audio, Absent), state)
        label = scores().labels.labels[hash(told) % 7]
        return scores(label), hash(told)


def real_steps(speculate: bool, previews: bool = False, every: int = 0) -> tuple[Steps, Follower]:
    """The steps as they are, on models that are not."""
    clock, registry, follower = FakeClock(), SpeakerRegistry(0.45, 8, 0.05, 0.1), Follower()

    def embed(samples):
        vector = np.zeros(4, np.float32)
        vector[len(samples) % 4] = 1
        return vector

    def listen(turn):
        return SpeechResult(Transcript(f"words {len(turn.samples)}", "en"), observed(turn).audio)

    observe = TurnObserver(listen, VoiceNamer(embed, registry), clock, no_faces("no camera"))
    recognise = Recognise(follower, Dialogue(4, 1000, lambda utterance: 1), clock)
    speculative = SpeculativeSteps(observe.speculate, recognise.speculate, previews) if speculate else None
    segmenter = replace(LIMITS, progress=every)
    return Steps(steps(limits=segmenter).segmenter, observe, recognise, speculative), follower


ENDED = ["turn.ended", "session.ended"]

patterns = st.lists(
    st.tuples(st.sampled_from("#."), st.integers(1, 12)).map(lambda run: run[0] * run[1]), min_size=1, max_size=12
).map("".join)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(patterns, st.lists(st.booleans(), min_size=1, max_size=8), st.integers(0, 6))
def test_the_events_are_the_same_with_and_without(pattern, has_time, every):
    async def events(speculate: bool) -> list[str]:
        made, _ = real_steps(speculate, every > 0, every)
        collect, gauges, times = Collect(), Gauges(), iter(has_time * 100)
        gauges.may_speculate = lambda: next(times)
        out = Outlets([collect], None, print, gauges)
        await pipeline.run(Patient(pattern), lambda _: made, out, INFO, FakeClock(), Control())
        return [bare(event) for event in collect.events]

    assert anyio.run(events, True) == anyio.run(events, False)


async def test_a_turn_that_pauses_for_good_is_judged_once_and_before_it_is_over():
    made, follower = real_steps(True)
    out: Outlets = outlets(collect := Collect())
    pattern = "#####" + "." * LIMITS.silence
    source = Patient(pattern + "...", at={len(pattern) - 1: lambda: judged.append(follower.calls)})
    judged: list[int] = []
    await pipeline.run(source, lambda _: made, out, INFO, FakeClock(), Control())
    assert judged == [1]
    assert follower.calls == 1
    assert out.gauges.speculation.hits == 1
    assert [event.type for event in collect.events][-2] == "turn.ended"


async def test_previews_show_a_turn_under_way_and_change_nothing_else(tmp_path):
    pattern = "#####...##...######" + "." * LIMITS.silence + "..."

    async def session(previews: bool, *sinks) -> CollectAll:
        made, _ = real_steps(True, previews)
        collect, out = CollectAll(), io.StringIO()
        await pipeline.run(
            Patient(pattern), lambda _: made, outlets(collect, JsonLines(out), *sinks), INFO, FakeClock(), Control()
        )
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        shown = ["turn.partial"] * len(collect.previews)
        assert [line["type"] for line in lines] == ["session.started", "turn.started", *shown, *ENDED]
        return collect

    seen = await session(True, Recorder(tmp_path / "kept", {}))
    assert [preview.text for preview in seen.previews] == ["words 1920", "words 3520", "words 6400"]
    assert {(preview.turn, preview.seq) for preview in seen.previews} == {(1, 1)}
    unseen = await session(False)
    assert unseen.previews == []
    assert [bare(event) for event in seen.events] == [bare(event) for event in unseen.events]
    schema = json_schema()
    preview_schema = Draft202012Validator({"$defs": schema["$defs"], "$ref": "#/$defs/Preview"})
    for preview in seen.previews:
        preview_schema.validate(json.loads(to_json(preview)))
        assert preview_from_json(to_json(preview)) == preview
        with pytest.raises(ValidationError):
            from_json(to_json(preview))
        assert fold_preview(fold(View(), seen.events[1]), preview).rows[0].text == preview.text
    assert list(read_session(tmp_path / "kept").events) == seen.events
