"""Time. Media time is integer nanoseconds since session start, counted from samples; it never reads a clock.

The wall clock appears once, in the session header, and as ``started_at + media time`` in events. The
monotonic clock is injected where latency or pacing needs it, so that tests own it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

import anyio

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


def samples_to_ns(samples: int, rate_hz: int) -> int:
    """Media time of a sample index, rounded down."""
    return samples * NS_PER_S // rate_hz


def ns_to_samples(ns: int, rate_hz: int) -> int:
    """Index of the first sample at or after a media time; the inverse of `samples_to_ns`."""
    return -(-ns * rate_hz // NS_PER_S)


def seconds_to_ns(seconds: float) -> int:
    """A duration from the configuration, in seconds, as integer nanoseconds."""
    return round(seconds * NS_PER_S)


def wall_time(started_at: datetime, media_ns: int) -> str:
    """The wall time of a media time as RFC 3339 in UTC with milliseconds."""
    moment = started_at + timedelta(microseconds=media_ns // 1000)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Clock(Protocol):
    """The monotonic clock; a test passes its own."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start; never goes back."""

    async def sleep_until_ns(self, moment_ns: int) -> None:
        """Return when `now_ns` has reached a moment."""


class SystemClock:
    """The machine's monotonic clock."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start."""
        return time.monotonic_ns()

    async def sleep_until_ns(self, moment_ns: int) -> None:
        """Sleep; returns at once where the moment has passed."""
        await anyio.sleep(max(0, moment_ns - self.now_ns()) / NS_PER_S)
