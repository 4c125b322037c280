"""Calling models from the event loop: one thread's worth of work per model, and several models at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

from tracker.clock import NS_PER_MS, Clock

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Timed(Generic[T]):
    """What a call returned, and how many milliseconds it took, waiting for its turn included."""

    result: T
    ms: float


class ModelThread:
    """Runs one model's calls off the event loop, one at a time and in order.

    A call that has begun is never abandoned: cancelling waits for it, so that no model runs on behind a session that
    has ended.

    Args:
        clock: Times the calls.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def run(self, call: Callable[[], T]) -> Timed[T]:
        """Run a call in a worker thread."""
        begun = self._clock.now_ns()
        result = await anyio.to_thread.run_sync(call, limiter=self._one_at_a_time)
        return Timed(result, (self._clock.now_ns() - begun) / NS_PER_MS)


async def together(first: Callable[[], Awaitable[T]], second: Callable[[], Awaitable[U]]) -> tuple[T, U]:
    """Await two calls at the same time.

    Raises:
        ExceptionGroup: One failed; the other was waited for or cancelled.
    """
    results: dict[int, T | U] = {}

    async def keep(index: int, call: Callable[[], Awaitable[T]] | Callable[[], Awaitable[U]]) -> None:
        results[index] = await call()

    async with anyio.create_task_group() as group:
        group.start_soon(keep, 0, first)
        group.start_soon(keep, 1, second)
    return results[0], results[1]  # type: ignore[return-value]  # each index holds what its own call returned
