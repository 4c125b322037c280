"""Percentiles by the nearest rank, the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Median, 95th percentile and largest of some values, in the values' unit."""

    p50: float
    p95: float
    max: float


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed.

    Args:
        values: At least one.
        share: Above 0, up to 1.
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1))]


def percentiles(values: Sequence[float]) -> Percentiles | None:
    """The percentiles of some values, or None where there are none."""
    return Percentiles(percentile(values, 0.5), percentile(values, 0.95), max(values)) if values else None
