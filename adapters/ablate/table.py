"""Tables of ablations: one row per variant, mean and spread over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np

_V = TypeVar("_V", bound="Named", contravariant=True)


class Named(Protocol):
    """What a row is about."""

    @property
    def name(self) -> str:
        """As it stands in the table."""


def markdown(
    columns: Sequence[str], variants: Iterable[_V], judge: Callable[[_V, int], Sequence[float]], seeds: int
) -> Iterator[str]:
    """The lines of a table, each as soon as it is known.

    Args:
        columns: What the figures are.
        variants: The rows.
        judge: The figures of one variant and seed.
        seeds: How many; the spread is the standard deviation of a sample, 0 of a single seed.
    """
    yield f"| variant | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for variant in variants:
        results = np.array([judge(variant, seed) for seed in range(seeds)])
        spreads = results.std(0, ddof=1) if seeds > 1 else np.zeros(len(columns))
        cells = (f"{mean:.3f} ± {spread:.3f}" for mean, spread in zip(results.mean(0), spreads, strict=True))
        yield f"| {variant.name} | {' | '.join(cells)} |"
