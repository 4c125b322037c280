"""Calling models from the event loop: one thread's worth of work per model, and several models at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

from tracker.runtime.clock import NS_PER_MS, Clock
from tracker.runtime.fair_queue import FairQueue

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Timed(Generic[T]):
    """What a call returned, and how many milliseconds it took, the wait for its turn included."""

    result: T
    ms: float


class FairLock:
    """Lets one call through at a time, in the order of a `FairQueue`.

    A session with many turns holds up no other, and speculative work comes after all work on turns that are over.
    """

    def __init__(self) -> None:
        self._queue: FairQueue[anyio.Event] = FairQueue()
        self._busy = False

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return len(self._queue)

    async def acquire(self, owner: object, speculative: bool) -> None:
        """Wait for the lock; `release` must follow."""
        if not self._busy:
            self._busy = True
            self._queue.note_served(owner)
            return
        granted = anyio.Event()
        self._queue.put(owner, granted, speculative)
        try:
            await granted.wait()
        except BaseException:
            if granted.is_set():
                self.release()
            else:
                self._queue.remove(granted)
            raise

    def release(self) -> None:
        """Hand the lock to the next call that waits."""
        if granted := self._queue.get():
            granted.set()
        else:
            self._busy = False


class ModelThread:
    """Runs one model's calls off the event loop, one at a time and in order.

    A call that has begun is never abandoned: cancelling waits for it, so that no model runs on behind a session that
    has ended.

    Args:
        clock: Times the calls.
        lock: Shared with other sessions that use the same model; None where there are none.
    """

    def __init__(self, clock: Clock, lock: FairLock | None = None) -> None:
        self._clock = clock
        self._lock = lock or FairLock()
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def run(self, call: Callable[[], T], speculative: bool = False) -> Timed[T]:
        """Run a call in a worker thread.

        Args:
            call: What to run.
            speculative: Whether it is work on a turn that may not be over; it gives way to all other work.
        """
        begun = self._clock.now_ns()
        await self._lock.acquire(self, speculative)
        try:
            result = await anyio.to_thread.run_sync(call, limiter=self._one_at_a_time)
        finally:
            self._lock.release()
        return Timed(result, (self._clock.now_ns() - begun) / NS_PER_MS)


def stuck(within_s: float = 2.0) -> bool:
    """Whether a thread still runs, after a moment, when nothing is to be done any more: Python would wait for it.

    A thread that writes to a pipe that nobody empties, for instance, is abandoned, but does not end.
    """
    ends = time.monotonic() + within_s
    others = [one for one in threading.enumerate() if one is not threading.current_thread() and not one.daemon]
    for thread in others:
        thread.join(max(0.0, ends - time.monotonic()))
    return any(thread.is_alive() for thread in others)


async def gather(first: Callable[[], Awaitable[T]], second: Callable[[], Awaitable[U]]) -> tuple[T, U]:
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
