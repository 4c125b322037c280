"""Latency by stage."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.events import Latency
from tracker.metrics.percentiles import Percentiles, percentiles

STAGES = ("endpoint", "transcribe", "speaker", "observe", "recognise", "total")


def stage_percentiles(latencies: Sequence[Latency], name: str) -> Percentiles | None:
    """The percentiles of one stage in milliseconds.

    Args:
        latencies: One for each turn.
        name: One of `STAGES`, or ``event`` for the time from the end of speech to the event.
    """
    return percentiles(
        [one.endpoint + one.total if name == "event" else float(getattr(one, name)) for one in latencies]
    )
