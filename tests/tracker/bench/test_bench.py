"""What `tracker bench` counts, on scripted sessions; and that the real thing runs."""

import io
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.support import fakes
from tests.support.command import telephone, tracker
from tests.support.fakes import FakeClock, FakeSource
from tests.support.sessions import Script
from tracker.bench.bench import table
from tracker.bench.measure import measure, measure_all, only_segmenting
from tracker.bench.results import BenchRun, Measurement, TimedEvent, combined, since_speech_ms, summary
from tracker.bench.soak import SoakSample, SoakSink, growth_percent, lag_ratio, listen
from tracker.bench.soak import summary as soak_summary
from tracker.bench.sources import LoopedSource, MediaOrigin, SilentSource, TappedSource
from tracker.cli.bench import _plain
from tracker.cli.bench import measure as measure_and_print
from tracker.config import Config
from tracker.events import TurnEnded
from tracker.runtime.clock import NS_PER_MS, NS_PER_S
from tracker.sources.pacing import PacedSource

pytestmark = pytest.mark.anyio

MEASURED = Measurement(30.0, 3.0, 2.4, 6, 5, 1, 0, (10.0, 20.0, 30.0, 40.0, 50.0), (510.0, 520.0, 530.0, 540.0), 2)
TALK = "..########" + "." * 10


def ended(ended_by: str) -> TurnEnded:
    event = Script().start().says(1.0, 2.0, "Speaker 1", "hi").events[-1]
    assert isinstance(event, TurnEnded)
    return event.model_copy(update={"ended_by": ended_by})


@pytest.mark.parametrize(
    ("ended_by", "ms"), [("pause", 600), ("speaker_change", 500), ("max_length", 500), ("end_of_media", None)]
)
def test_the_end_of_speech_is_the_last_voiced_frame_or_the_cut(ended_by, ms):
    origin_ns = 7 * NS_PER_S
    arrived = TimedEvent(ended(ended_by), origin_ns + 2500 * NS_PER_MS)
    assert since_speech_ms(arrived, origin_ns, 100 * NS_PER_MS) == ms


def test_figures_are_medians_and_ratios_are_of_one_run():
    runs = [
        BenchRun(replace(MEASURED, cpu_s=cpu), replace(MEASURED, cpu_s=0.6), replace(MEASURED, cpu_s=naive), MEASURED)
        for cpu, naive in ((2.4, 12.0), (3.0, 12.0), (6.0, 60.0))
    ]
    found = summary(runs)
    assert found["cpu_seconds_per_turn"] == 0.5
    assert found["naive_cpu_seconds_per_turn"] == 2.0
    assert found["cpu_ratio"] == 5.0  # the median of 5, 4 and 10, not the ratio of the medians
    assert found["judging_cpu_seconds_per_turn"] == 0.4
    assert found["real_time_factor"] == 0.1
    assert found["endpoint_to_event_ms"] == {"p50": 30.0, "p95": 50.0, "max": 50.0}
    assert found["naive_endpoint_to_event_ms"] is None
    assert (found["turns"], found["skipped"], found["lost"], found["runs"]) == (6, 1, 0, 3)
    json.dumps(found)


def test_a_turn_of_which_nothing_was_published_is_lost():
    assert summary([BenchRun(paced=replace(MEASURED, judged=4))])["lost"] == 1
    assert combined([MEASURED, replace(MEASURED, judged=3)]).lost == 2


def test_silence_has_figures_without_turns():
    nothing = Measurement(60.0, 1.0, 0.5, 0, 0, 0, 0, (), (), 0)
    found = summary([BenchRun(nothing, nothing, nothing, nothing, nothing)])
    assert found["cpu_seconds_per_turn"] is found["cpu_ratio"] is found["endpoint_to_event_ms"] is None
    assert found["turns"] == 0


async def test_a_paced_session_is_measured_from_when_its_sound_was_released():
    clock = FakeClock()
    found = await measure(PacedSource(FakeSource(TALK), clock), lambda _: fakes.steps(), clock, hangover_ms=20)
    assert (found.started, found.judged, found.skipped, found.lost) == (1, 1, 0, 0)
    assert found.media_s == pytest.approx(0.4)
    (since,) = found.speech_end_ms
    endpoint, rest = 120, 200  # six frames of silence in the fakes' limits; the media goes on for ten
    assert endpoint <= since < rest + 100  # the fake clock jumps ahead with the media, and a millisecond at each look


async def test_conversations_at_once_are_counted_together():
    clock = FakeClock()
    sources = [PacedSource(FakeSource(TALK), clock) for _ in range(3)]
    found = await measure_all(sources, lambda _: fakes.steps(), clock, 20, stagger_s=0.0)
    assert (found.started, found.judged, found.lost) == (3, 3, 0)
    assert found.media_s == pytest.approx(1.2)


async def test_cutting_alone_finds_the_same_turns():
    found = await measure(FakeSource(TALK), only_segmenting(lambda _: fakes.steps()), FakeClock(), 20)
    assert (found.started, found.judged, found.skipped) == (1, 0, 1)


@given(st.integers(1, 40), st.integers(1, 5))
async def test_a_loop_is_one_recording_without_gaps(frames, times):
    seconds = (frames * times) / 50
    source, begin = LoopedSource([lambda: FakeSource("#" * frames)], seconds), 0
    async with source.open() as chunks:
        async for chunk in chunks:
            assert chunk.start == begin
            begin += len(chunk.samples)
    assert begin == frames * times * fakes.FRAME


async def test_a_loop_that_is_stopped_ends():
    source, heard = LoopedSource([lambda: FakeSource("#" * 5)], 1e9), 0
    async with source.open() as chunks:
        async for _ in chunks:
            heard += 1
            if heard == 12:
                source.stop()
    assert heard <= 15


async def test_silence_is_as_long_as_was_asked_for():
    origin = MediaOrigin(FakeClock())
    source = TappedSource(SilentSource(2.0), origin)
    async with source.open() as chunks:
        heard = [chunk async for chunk in chunks]
    assert heard[-1].end_ns == 2 * NS_PER_S
    assert not any(chunk.samples.any() for chunk in heard)
    assert origin.ns is not None


def samples(memory: list[float], lag: float | None = 100.0) -> list[SoakSample]:
    return [SoakSample(60.0 * (number + 1), mb, lag, 2, number) for number, mb in enumerate(memory)]


def test_growth_is_from_the_first_ten_minutes_to_the_end():
    assert growth_percent(samples([500.0] * 9 + [1000.0] * 10 + [1030.0] * 3)) == pytest.approx(3.0)
    assert (
        growth_percent(samples([500.0] * 9 + [1000.0] * 10 + [1000.0, 5000.0, 1000.0])) == 0.0
    )  # one peak is no growth
    assert growth_percent(samples([500.0] * 12)) is None  # too short to tell


def test_lag_is_compared_between_the_first_and_the_last_quarter():
    slower = [replace(one, lag_ms=100.0 + 10 * number) for number, one in enumerate(samples([1.0] * 8))]
    assert lag_ratio(slower) == pytest.approx(165 / 105)
    assert lag_ratio(samples([1.0] * 8, lag=None)) is None


async def test_a_soak_watches_every_minute_of_media():
    memory = iter([700.0, 701.0, 702.0])
    sink = SoakSink(memory_mb=lambda: next(memory))
    source = LoopedSource([lambda: FakeSource(TALK)], 125.0)
    await listen(source, lambda _: fakes.steps(), FakeClock(), sink)
    assert [one.media_s for one in sink.samples] == pytest.approx([60.0, 120.0, 125.0], abs=0.5)
    found = soak_summary(sink.samples, wall_s=12.5)
    assert (found["turns"], found["speakers"], found["rss_mb"], found["real_time_factor"]) == (
        313,
        1,
        702.0,
        0.1,
    )  # the last is cut off


@pytest.mark.parametrize(("growth", "fine"), [(None, True), (2.9, True), (3.1, False)])
def test_a_soak_fails_where_memory_grows(growth, fine, monkeypatch, capsys):
    monkeypatch.setattr("tracker.cli.bench.soak", lambda *_: {"growth_percent": growth})
    assert measure_and_print(["silence"], Config(), 1, "both", 0, 0.0, 1.0, True, 5, True, json=True) is fine
    assert json.loads(capsys.readouterr().out) == {"growth_percent": growth}


@pytest.mark.parametrize(("lost", "dropped", "fine"), [(0, 0, True), (1, 0, False), (0, 2, False)])
def test_a_bench_fails_where_a_turn_is_lost(lost, dropped, fine, monkeypatch):
    monkeypatch.setattr("tracker.cli.bench.bench", lambda *_: {"lost": lost, "dropped": dropped})
    assert measure_and_print(["silence"], Config(), 1, "both", 0, 0.0, 0.0, True, 5, True, json=True) is fine


def test_the_table_says_how_many_times_less():
    runs = [BenchRun(MEASURED, replace(MEASURED, cpu_s=0.6), replace(MEASURED, cpu_s=12.0), MEASURED)]
    extra = {"rss_mb": 900.0, "fallbacks": 1, "start_to_listening_s": 7.5, "at_once": 1, "sources": ["call.wav"]}
    console = Console(file=io.StringIO(), width=100)
    console.print(table(summary(runs) | extra))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    (row,) = (line for line in lines if "per turn, all in" in line)
    assert [cell.strip() for cell in row.split("│")[2:5]] == ["0.4", "2", "5.0"]
    assert any("6 / 1 / 0 / 0" in line for line in lines)


def test_the_name_of_a_source_is_no_markup_and_holds_no_control_character():
    nasty = "\x1b[2J\u202e[/foo]"
    found = summary([BenchRun(MEASURED, MEASURED, MEASURED, MEASURED)])
    found |= {"rss_mb": 1.0, "fallbacks": 0, "start_to_listening_s": 1.0, "at_once": 1, "sources": [nasty]}
    console = Console(file=io.StringIO(), width=100)
    console.print(table(found))
    console.print(_plain({"source": nasty}))
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert printed.count("[2J [/foo]") == 2
    assert not {"\x1b", "\u202e"} & set(printed)


@pytest.mark.models
def test_the_telephone_call_against_the_baseline(tmp_path):
    done = tracker("bench", str(telephone()), "--pace", "fast", "--no-start", "--json", folder=tmp_path)
    assert done.code == 0, done.said
    found = json.loads(done.out)
    assert found["lost"] == found["dropped"] == 0
    assert found["turns"] >= 5
    assert 0 < found["judging_cpu_seconds_per_turn"] < found["naive_judging_cpu_seconds_per_turn"]
    assert found["rss_mb"] < 2500


def test_bad_options_are_refused(tmp_path):
    done = tracker("bench", "silence", "--pace", "slow", folder=tmp_path)
    assert (done.code, done.said) == (2, "error: --pace: must be both, fast or realtime, not 'slow'\n")
    done = tracker("bench", "nothing.wav", "--pace", "fast", folder=tmp_path)
    assert done.code == 3
    assert "nothing.wav" in done.said
