"""Tables of ablations: one row per variant, mean and standard deviation over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from adapters.training.runs import spread

_V = TypeVar("_V", bound="Named", contravariant=True)


class Named(Protocol):
    """What a row is about."""

    @property
    def name(self) -> str:
        """As it stands in the table."""


def markdown(
    columns: Sequence[str], variants: Iterable[_V], evaluate: Callable[[_V, int], Sequence[float]], seeds: int
) -> Iterator[str]:
    """The lines of a table, each as soon as it is known.

    Args:
        columns: Names of the metrics.
        variants: The rows.
        evaluate: The metrics of one variant and seed.
        seeds: How many; at least one.
    """
    yield f"| variant | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for variant in variants:
        metrics = zip(*(evaluate(variant, seed) for seed in range(seeds)), strict=True)
        cells = (f"{one['mean']:.3f} ± {one['std']:.3f}" for one in map(spread, metrics))
        yield f"| {variant.name} | {' | '.join(cells)} |"
