"""Percentiles, as every figure of the project counts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, 95th percentile and largest of some values, in the values' unit."""

    p50: float
    p95: float
    max: float


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so many of the values do not exceed; the nearest rank.

    Args:
        values: At least one.
        share: Above 0, up to 1.
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1))]


def spread(values: Sequence[float]) -> Spread | None:
    """How values lie, or None where there are none."""
    return Spread(percentile(values, 0.5), percentile(values, 0.95), max(values)) if values else None
