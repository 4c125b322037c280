"""The media time at which something arrives: estimating the drift between two clocks. Pure.

A microphone counts samples by its own quartz; frames arrive by the machine's clock. The clocks drift apart by up to
some hundred parts per million, 100 ms after a quarter of an hour, and data arrives late by a varying delay, never
early. So a line is fitted below all arrivals, as close to them as possible: its slope is the drift.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise

from tracker.runtime.clock import NS_PER_S

_KEPT = 600  # seconds that the line is fitted to
_LEAST = 10  # seconds below which a slope is noise
_MOST_PPM = 1000.0  # no sound card is as bad as this


class MediaClock:
    """Media time from arrival time.

    Of all lines with no arrival below them, the one closest to all arrivals is the edge of their convex hull below
    their mean (Moon, Skelly & Towsley, "Estimation and removal of clock skew from network delay
    measurements", INFOCOM 1999, solve the same problem). Of each second only the shortest delay counts; under `_LEAST`
    seconds the line is level.
    """

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque(maxlen=_KEPT)  # (arrived, arrived - media), the least of each
        self._line: tuple[float, float, float] | None = None

    def note(self, arrived_ns: int, media_ns: int) -> None:
        """Media up to a time has arrived.

        Args:
            arrived_ns: On the machine's monotonic clock.
            media_ns: Media time of the newest sample.
        """
        late = arrived_ns - media_ns
        if self._seconds and self._seconds[-1][0] // NS_PER_S == arrived_ns // NS_PER_S:
            if late >= self._seconds[-1][1]:
                return
            self._seconds.pop()
        self._seconds.append((arrived_ns, late))
        self._line = None

    def restart(self) -> None:
        """Forget the clocks: media time stood still."""
        self._seconds.clear()
        self._line = None

    def media_ns(self, arrived_ns: int) -> int | None:
        """Media time at a moment; None before anything arrived."""
        if not self._seconds:
            return None
        centre, late, slope = self._fit()
        return max(0, arrived_ns - round(late + slope * (arrived_ns - centre)))

    @property
    def drift_ppm(self) -> float:
        """By how many microseconds a second the media's clock runs ahead of the machine's; 0 while not known."""
        return -self._fit()[2] * 1e6 if self._seconds else 0.0

    def _fit(self) -> tuple[float, float, float]:
        """A moment, the delay then, and the slope."""
        if self._line is None:
            points = list(self._seconds)
            if len(points) < _LEAST:
                self._line = (float(points[0][0]), float(min(late for _, late in points)), 0.0)
            else:
                (x0, y0), (x1, y1) = _edge_below(points)
                slope = min(max((y1 - y0) / (x1 - x0), -_MOST_PPM / 1e6), _MOST_PPM / 1e6)
                self._line = (float(x0), float(y0), slope)
        return self._line


def _edge_below(points: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The edge of the lower convex hull under the mean; points come in order of x, three or more of them."""
    hull: list[tuple[int, int]] = []
    for point in points:
        while len(hull) > 1 and _turns_down(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    mean = sum(x for x, _ in points) // len(points)
    return next((a, b) for a, b in pairwise(hull) if b[0] >= mean)


def _turns_down(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) <= (b[1] - a[1]) * (c[0] - a[0])
