"""The records of a benchmark, and their summary. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from statistics import median
from typing import Any

from tracker.events import TurnEnded
from tracker.metrics.percentiles import Percentiles, percentiles
from tracker.runtime.clock import NS_PER_MS
from tracker.speculate import SpeculationCounts


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """An event and when it was published, on the monotonic clock."""

    event: TurnEnded
    at_ns: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One session, measured from beginning to end.

    Attributes:
        media_s: Length of its media, seconds.
        wall_s: Seconds that it took.
        cpu_s: Processor seconds of the whole process meanwhile.
        started: Turns that were opened.
        judged: Turns that were judged.
        skipped: Turns that were skipped with a reason.
        dropped: Items that were dropped anywhere on the way.
        endpoint_ms: Of each judged turn, from the decision that it was over to its event.
        speech_end_ms: Of each judged turn with an endpoint, from the last speech to its event.
        speakers: How many speakers were distinguished.
        speculation: How often speculation was of use.
    """

    media_s: float
    wall_s: float
    cpu_s: float
    started: int
    judged: int
    skipped: int
    dropped: int
    endpoint_ms: tuple[float, ...]
    speech_end_ms: tuple[float, ...]
    speakers: int
    speculation: SpeculationCounts = field(default_factory=SpeculationCounts)

    @property
    def lost(self) -> int:
        """Turns that were opened but neither judged nor skipped."""
        return self.started - self.judged - self.skipped

    @property
    def turns(self) -> int:
        """Turns that were judged or skipped."""
        return self.judged + self.skipped


def since_speech_ms(arrived: TimedEvent, origin_ns: int, hangover_ns: int) -> float | None:
    """From the end of speech to the event, in milliseconds of a paced session.

    The end of speech is the last voiced frame of a turn that a pause has ended: its end without the hangover. A turn
    that a change of speaker or the maximum length has ended ends where it was cut. The end of the media is no
    endpoint: such a turn does not count.

    Args:
        arrived: The event.
        origin_ns: The monotonic clock at media time 0.
        hangover_ns: The silence kept at the end of a turn.
    """
    event = arrived.event
    if event.ended_by == "end_of_media":
        return None
    spoken_ns = event.end_ns - (hangover_ns if event.ended_by == "pause" else 0)
    return (arrived.at_ns - origin_ns - spoken_ns) / NS_PER_MS


def combined(passes: Sequence[Measurement]) -> Measurement:
    """Sessions that ran at the same time or one after the other, as one.

    Args:
        passes: At least one.
    """
    return Measurement(
        media_s=sum(one.media_s for one in passes),
        wall_s=sum(one.wall_s for one in passes),
        cpu_s=sum(one.cpu_s for one in passes),
        started=sum(one.started for one in passes),
        judged=sum(one.judged for one in passes),
        skipped=sum(one.skipped for one in passes),
        dropped=sum(one.dropped for one in passes),
        endpoint_ms=tuple(ms for one in passes for ms in one.endpoint_ms),
        speech_end_ms=tuple(ms for one in passes for ms in one.speech_end_ms),
        speakers=sum(one.speakers for one in passes),
        speculation=SpeculationCounts(
            **{
                one.name: sum(getattr(each.speculation, one.name) for each in passes)
                for one in fields(SpeculationCounts)
            }
        ),
    )


@dataclass(frozen=True, slots=True)
class BenchRun:
    """One run over all sources; what was not run is None.

    Attributes:
        fast: As fast as it goes.
        cutting: The same without observation and judgement: the cost of segmentation alone.
        naive_fast: The baseline, as fast as it goes.
        paced: In real time.
        naive_paced: The baseline in real time.
    """

    fast: Measurement | None = None
    cutting: Measurement | None = None
    naive_fast: Measurement | None = None
    paced: Measurement | None = None
    naive_paced: Measurement | None = None


def middle(values: Iterable[float | None]) -> float | None:
    """The median of the values that are not None."""
    found = [value for value in values if value is not None]
    return median(found) if found else None


def cpu_per_turn(one: Measurement | None) -> float | None:
    """Processor seconds per turn, segmentation included."""
    return one.cpu_s / one.turns if one and one.turns else None


def judging_per_turn(one: Measurement | None, cutting: Measurement | None) -> float | None:
    """Processor seconds per turn, segmentation excluded."""
    return max(0.0, one.cpu_s - cutting.cpu_s) / one.turns if one and cutting and one.turns else None


def ratio(a: float | None, b: float | None) -> float | None:
    """``a / b``, or None where that is not defined."""
    return a / b if a is not None and b else None


def spreads(passes: Iterable[Measurement | None], name: str) -> dict[str, float] | None:
    """Median over the runs of each percentile of ``endpoint_ms`` or ``speech_end_ms``."""
    each: list[Percentiles] = [found for one in passes if one and (found := percentiles(getattr(one, name)))]
    if not each:
        return None
    return {key: round(median(asdict(one)[key] for one in each), 1) for key in ("p50", "p95", "max")}


def summary(runs: Sequence[BenchRun]) -> dict[str, Any]:
    """The figures of the runs, each the median over them; what was not measured is None."""
    fast, naive = [run.fast for run in runs], [run.naive_fast for run in runs]
    paced, naive_paced = [run.paced for run in runs], [run.naive_paced for run in runs]
    any_pass = [one for run in runs for one in (run.fast, run.paced) if one]
    all_in = middle(ratio(cpu_per_turn(run.naive_fast), cpu_per_turn(run.fast)) for run in runs)
    judging = middle(
        ratio(judging_per_turn(run.naive_fast, run.cutting), judging_per_turn(run.fast, run.cutting)) for run in runs
    )
    found: dict[str, Any] = {
        "endpoint_to_event_ms": spreads(paced, "endpoint_ms"),
        "speech_end_to_event_ms": spreads(paced, "speech_end_ms"),
        "naive_endpoint_to_event_ms": spreads(naive_paced, "endpoint_ms"),
        "naive_speech_end_to_event_ms": spreads(naive_paced, "speech_end_ms"),
        "cpu_seconds_per_turn": middle(map(cpu_per_turn, fast)),
        "naive_cpu_seconds_per_turn": middle(map(cpu_per_turn, naive)),
        "cpu_ratio": all_in,
        "judging_cpu_seconds_per_turn": middle(judging_per_turn(run.fast, run.cutting) for run in runs),
        "naive_judging_cpu_seconds_per_turn": middle(judging_per_turn(run.naive_fast, run.cutting) for run in runs),
        "judging_cpu_ratio": judging,
        "cutting_cpu_seconds_per_media_second": middle(
            ratio(run.cutting.cpu_s, run.cutting.media_s) if run.cutting else None for run in runs
        ),
        "real_time_factor": middle(ratio(one.wall_s, one.media_s) if one else None for one in fast),
        "naive_real_time_factor": middle(ratio(one.wall_s, one.media_s) if one else None for one in naive),
        "paced_cpu_share": middle(ratio(one.cpu_s, one.wall_s) if one else None for one in paced),
        "turns": any_pass[0].turns if any_pass else 0,
        "skipped": any_pass[0].skipped if any_pass else 0,
        "lost": sum(one.lost for one in any_pass),
        "dropped": sum(one.dropped for one in any_pass),
        "speculation_hits": middle(one.speculation.hits if one else None for one in paced),
        "speculation_wasted": middle(one.speculation.wasted if one else None for one in paced),
        "speculation_left_out": middle(one.speculation.left_out if one else None for one in paced),
        "speculation_wasted_share": middle(
            ratio(one.speculation.wasted_ms, one.speculation.spent_ms) if one and one.speculation.spent_ms else None
            for one in paced
        ),
        "media_s": round(any_pass[0].media_s, 2) if any_pass else 0.0,
        "runs": len(runs),
    }
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}
