"""Numbers behind the drawing: strips over time, and percentiles of latencies."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.dashboard.view import Feeling
from tracker.events import Latency
from tracker.metrics.percentiles import percentile

STAGES = ("endpoint", "transcribe", "speaker", "observe", "recognise", "total")


def strip(feelings: Sequence[Feeling], now_ns: int, span_ns: int, cells: int) -> list[Feeling | None]:
    """Each cell's feeling over the time until now: the one that lasted longest in it.

    Args:
        feelings: In the order of time.
        now_ns: The end of the last cell.
        span_ns: What all cells cover together.
        cells: How many.
    """
    begin, width = now_ns - span_ns, span_ns / cells
    found: list[Feeling | None] = [None] * cells
    longest = [0.0] * cells
    for feeling in feelings:
        first = max(0, int((feeling.start_ns - begin) // width))
        last = min(cells - 1, int((feeling.end_ns - begin) // width))
        for cell in range(first, last + 1):
            left = begin + cell * width
            lasted = min(feeling.end_ns, left + width) - max(feeling.start_ns, left)
            if lasted > longest[cell]:
                found[cell], longest[cell] = feeling, lasted
    return found


def stage(latencies: Sequence[Latency], name: str) -> tuple[float, float] | None:
    """p50 and p95 of one stage in milliseconds; ``event`` is from the end of speech to the event."""
    if not latencies:
        return None
    values = [one.endpoint + one.total if name == "event" else float(getattr(one, name)) for one in latencies]
    return percentile(values, 0.5), percentile(values, 0.95)
