"""How a session goes, in numbers, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tracker.metrics.spread import Spread
from tracker.runtime.overload import Level


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look at a session.

    Attributes:
        turns: Judged turns.
        skipped: Skipped turns.
        media_s: Seconds of media heard.
        stages_ms: Milliseconds by stage, over the last 1000 turns; stages as in ``latency_ms``.
        queues: Items waiting, by edge.
        dropped: Items dropped, by edge, and ``samples``; only what dropped.
        fallbacks: Turns decoded again from the full window, in the process.
        ahead_hits: Turns whose work was done ahead of their end.
        ahead_wasted: Turns on which such work was for nothing.
        ahead_wasted_ms: How long that took.
        ahead_left_out: Pauses at which there was no time for it.
        overload: What is left out for lack of time, see `tracker.runtime.overload`.
        waiting_turns: Turns of the process that are over and not yet published.
        real_time_factor: Processor seconds of the process per second of this session's media; under 1 keeps up on
            one core.
        cpu_s: Processor seconds of the process since the session began.
        rss_mb: Resident memory of the process.
    """

    turns: int = 0
    skipped: int = 0
    media_s: float = 0.0
    stages_ms: Mapping[str, Spread] = field(default_factory=dict)
    queues: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    fallbacks: int = 0
    ahead_hits: int = 0
    ahead_wasted: int = 0
    ahead_wasted_ms: float = 0.0
    ahead_left_out: int = 0
    overload: Level = "normal"
    waiting_turns: int = 0
    real_time_factor: float = 0.0
    cpu_s: float = 0.0
    rss_mb: float = 0.0
