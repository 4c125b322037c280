"""How long to wait before the next attempt."""

from __future__ import annotations

from collections.abc import Callable, Iterator

FIRST_S = 0.5
LONGEST_S = 30.0


def delays_s(random: Callable[[], float]) -> Iterator[float]:
    """Ever longer waits in seconds, without end: doubling up to `LONGEST_S`, each shortened by up to a half.

    The jitter keeps many trackers from coming back at the same moment.

    Args:
        random: Gives numbers from 0 up to 1.
    """
    longest = FIRST_S
    while True:
        yield longest * (1 - random() / 2)
        longest = min(LONGEST_S, longest * 2)
