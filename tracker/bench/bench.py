"""``tracker bench``: runs of every source through the tracker and through the baseline, and one table."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anyio
from rich.table import Table
from rich.text import Text

from tracker.api import load_models
from tracker.app import models as app_models
from tracker.bench.measure import StepsFor, measure_all, only_segmenting
from tracker.bench.naive import NaiveModels, naive_steps
from tracker.bench.results import BenchRun, summary
from tracker.bench.sources import SilentSource
from tracker.config import Config
from tracker.errors import TrackerError
from tracker.pipeline import Steps
from tracker.runtime.clock import SystemClock
from tracker.runtime.memory import rss_mb
from tracker.sinks.text import printable
from tracker.sources.files import FileSource
from tracker.sources.media import Source
from tracker.sources.pacing import PacedSource

BenchPace = Literal["both", "fast", "realtime"]
SILENCE = "silence"
_SILENCE_S = 60.0
_START_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure.

    Attributes:
        runs: How often; figures are medians over the runs.
        pace: As fast as possible, in real time, or both.
        at_once: Number of conversations at the same time, in real time only; 0: one after the other.
        stagger_s: Seconds from one of them to the next.
        naive: Whether to measure the baseline, too.
        beam: Beam size of the baseline's transcription.
        start: Whether to measure the start of the program, too.
    """

    runs: int = 1
    pace: BenchPace = "both"
    at_once: int = 0
    stagger_s: float = 0.0
    naive: bool = True
    beam: int = 5
    start: bool = True


def source_maker(argument: str, config: Config) -> Callable[[], Source]:
    """Makes the source that an argument names: a file, or ``silence``.

    Raises:
        SourceError: There is no such file, or it has no audio.
    """
    if argument == SILENCE:
        return lambda: SilentSource(_SILENCE_S)
    FileSource(argument, track=config.input.track).check()
    chosen = config.input
    return lambda: FileSource(argument, chosen.channels, chosen.block_ms, track=chosen.track)


def bench(
    arguments: Sequence[str], config: Config, options: BenchOptions, report: Callable[[str], None]
) -> dict[str, Any]:
    """Measure; each run in real time takes the length of the sources.

    Args:
        arguments: Files, or ``silence``.
        config: The settings.
        options: What to measure.
        report: Says one sentence to the user.

    Returns:
        The figures by name.

    Raises:
        TrackerError: A source or a model is not available.
    """
    makers = [source_maker(argument, config) for argument in arguments]
    start_s = start_to_listening_s(arguments[0]) if options.start and arguments[0] != SILENCE else None
    models, clock = load_models(config), SystemClock()
    naive = None
    hangover_ms = config.turns.hangover_ms
    memory: dict[str, float] = {"rss_mb": rss_mb()}

    def real(channels: int) -> Steps:
        return app_models.steps(models, config, channels, clock)

    def go(steps: StepsFor, paced: bool, count: int = 0) -> Any:
        made = [makers[number % len(makers)]() for number in range(count or len(makers))]
        sources: list[Source] = [PacedSource(source, clock) for source in made] if paced else made
        return anyio.run(measure_all, sources, steps, clock, hangover_ms, options.stagger_s if count else None)

    runs: list[BenchRun] = []
    fast, paced = options.pace != "realtime" and not options.at_once, options.pace != "fast" or bool(options.at_once)
    for number in range(1, options.runs + 1):
        report(f"run {number} of {options.runs}")
        ours = go(real, paced=False) if fast else None
        cutting = go(only_segmenting(real), paced=False) if fast and options.naive else None
        live = go(real, paced=True, count=options.at_once) if paced else None
        memory["rss_mb"] = memory["rss_mb"] if naive else rss_mb()  # before the baseline's models are there
        if not options.naive or options.at_once:
            runs.append(BenchRun(ours, cutting, None, live, None))
            continue
        naive = naive or _load_naive(config, options.beam)
        beside: StepsFor = lambda channels, naive=naive: naive_steps(naive, models, config, channels, clock)  # type: ignore[misc]  # noqa: E731
        slow = go(beside, paced=False) if fast else None
        slow_live = go(beside, paced=True) if paced and number == 1 else None
        runs.append(BenchRun(ours, cutting, slow, live, slow_live))
    return (
        summary(runs)
        | {name: round(value, 1) for name, value in memory.items()}
        | {
            "fallbacks": models.transcriber.fallbacks,
            "start_to_listening_s": start_s and round(start_s, 2),
            "at_once": options.at_once or 1,
            "stagger_s": options.stagger_s if options.at_once else None,
            "sources": [Path(argument).name for argument in arguments],
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
            "machine": f"{platform.machine()} {platform.system()}",
        }
    )


def start_to_listening_s(argument: str) -> float:
    """From the start of a new ``tracker run`` until its session begins, in seconds.

    Raises:
        TrackerError: It never began.
    """
    command = [sys.executable, "-m", "tracker", "run", argument, "--json", "--mqtt", "off", "--pace", "realtime"]
    begun_s = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:  # noqa: S603  # ourselves
        try:
            first = program.stdout.readline() if program.stdout else b""
            took_s = time.perf_counter() - begun_s
        finally:
            program.terminate()
            program.communicate(timeout=_START_WITHIN_S)
    if not first:
        raise TrackerError(f"tracker run {argument} ended before its session began; run it by itself to see why")
    return took_s


def _load_naive(config: Config, beam: int) -> NaiveModels:
    from tracker.assets.store import Store

    store = Store(config.assets.paths)
    language = config.transcribe.language
    naive = NaiveModels(store.folder(config.transcribe.model), store.folder(app_models.BACKBONE), language, beam)
    naive.warm_up()
    return naive


_ROWS = (
    ("endpoint to event, ms, p50", "endpoint_to_event_ms.p50", "naive_endpoint_to_event_ms.p50"),
    ("endpoint to event, ms, p95", "endpoint_to_event_ms.p95", "naive_endpoint_to_event_ms.p95"),
    ("end of speech to event, ms, p50", "speech_end_to_event_ms.p50", "naive_speech_end_to_event_ms.p50"),
    ("end of speech to event, ms, p95", "speech_end_to_event_ms.p95", "naive_speech_end_to_event_ms.p95"),
    ("end of speech to event, ms, max", "speech_end_to_event_ms.max", "naive_speech_end_to_event_ms.max"),
    ("processor seconds per turn, all in", "cpu_seconds_per_turn", "naive_cpu_seconds_per_turn"),
    ("... segmentation excluded", "judging_cpu_seconds_per_turn", "naive_judging_cpu_seconds_per_turn"),
    ("real-time factor, as fast as possible", "real_time_factor", "naive_real_time_factor"),
)
_ONLY = (
    ("segmentation, processor seconds per second", "cutting_cpu_seconds_per_media_second"),
    ("processor share while paced, 1 is one core", "paced_cpu_share"),
    ("start to session, s", "start_to_listening_s"),
    ("resident memory, MB", "rss_mb"),
    ("turns / skipped / lost / dropped", ""),
    ("transcribed again in the full window", "fallbacks"),
    ("speculation of use, paced", "speculation_hits"),
    ("... wasted", "speculation_wasted"),
    ("... left out for lack of time", "speculation_left_out"),
    ("... wasted share of its time", "speculation_wasted_share"),
)


def table(found: dict[str, Any]) -> Table:
    """The figures as a table; a ratio says how many times less than the baseline."""
    at_once = f", {found['at_once']} at once" if found["at_once"] > 1 else ""
    heading = f"{printable(', '.join(found['sources']))}{at_once}: median of {found['runs']} runs"
    made = Table(title=Text(heading, "table.title"), title_justify="left")
    made.add_column("")
    for heading in ("tracker", "baseline", "ratio"):
        made.add_column(heading, justify="right")
    for name, ours, theirs in _ROWS:
        a, b = _at(found, ours), _at(found, theirs)
        if a is not None or b is not None:
            made.add_row(name, _text(a), _text(b), f"{b / a:.1f}" if a and b else "")
    for name, key in _ONLY:
        if not key:
            made.add_row(name, " / ".join(str(found[each]) for each in ("turns", "skipped", "lost", "dropped")), "", "")
        elif found[key] is not None:
            made.add_row(name, _text(found[key]), "", "")
    return made


def _at(found: dict[str, Any], path: str) -> float | None:
    name, _, key = path.partition(".")
    value: Any = found[name]
    number: float | None = (value and value[key]) if key else value
    return number


def _text(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 or isinstance(value, int) else f"{value:.3g}"
