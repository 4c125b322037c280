"""A speaker's emotions over time, divided into cells."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.dashboard.view import Judgement


def timeline(judgements: Sequence[Judgement], now_ns: int, span_ns: int, cells: int) -> list[Judgement | None]:
    """The judgement that lasted longest in each cell of the time until now.

    Args:
        judgements: By time.
        now_ns: The end of the last cell.
        span_ns: What all cells cover together.
        cells: How many.
    """
    begin, width = now_ns - span_ns, span_ns / cells
    found: list[Judgement | None] = [None] * cells
    longest = [0.0] * cells
    for judgement in judgements:
        first = max(0, int((judgement.start_ns - begin) // width))
        last = min(cells - 1, int((judgement.end_ns - begin) // width))
        for cell in range(first, last + 1):
            left = begin + cell * width
            lasted = min(judgement.end_ns, left + width) - max(judgement.start_ns, left)
            if lasted > longest[cell]:
                found[cell], longest[cell] = judgement, lasted
    return found
