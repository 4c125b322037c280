"""Calling models from the event loop: one thread's worth of work per model, and several models at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

from tracker.runtime.clock import NS_PER_MS, Clock
from tracker.runtime.fair_queue import Line

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Timed(Generic[T]):
    """What a call returned, and how many milliseconds it took, waiting for its turn included."""

    result: T
    ms: float


class Sharing:
    """Lets one call through at a time, the sessions of the process in turn.

    Who has waited longest since it was last let through is next, so that a session with many turns holds up no other;
    work ahead of an endpoint comes after all work for turns that are over.
    """

    def __init__(self) -> None:
        self._line: Line[anyio.Event] = Line()
        self._busy = False

    @property
    def waiting(self) -> int:
        """Calls that wait to be let through."""
        return len(self._line)

    async def enter(self, who: object, ahead: bool) -> None:
        """Wait until let through; `leave` must follow."""
        if not self._busy:
            self._busy = True
            self._line.passed(who)
            return
        called = anyio.Event()
        self._line.join(who, called, ahead)
        try:
            await called.wait()
        except BaseException:
            if called.is_set():
                self.leave()
            else:
                self._line.step_out(called)
            raise

    def leave(self) -> None:
        """Let the next one through."""
        if called := self._line.call():
            called.set()
        else:
            self._busy = False


class ModelThread:
    """Runs one model's calls off the event loop, one at a time and in order.

    A call that has begun is never abandoned: cancelling waits for it, so that no model runs on behind a session that
    has ended.

    Args:
        clock: Times the calls.
        sharing: Shared with other sessions that use the same model; None where there are none.
    """

    def __init__(self, clock: Clock, sharing: Sharing | None = None) -> None:
        self._clock = clock
        self._sharing = sharing or Sharing()
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def run(self, call: Callable[[], T], ahead: bool = False) -> Timed[T]:
        """Run a call in a worker thread.

        Args:
            call: What to run.
            ahead: Whether it is work ahead of the end of a turn, which gives way.
        """
        begun = self._clock.now_ns()
        await self._sharing.enter(self, ahead)
        try:
            result = await anyio.to_thread.run_sync(call, limiter=self._one_at_a_time)
        finally:
            self._sharing.leave()
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
