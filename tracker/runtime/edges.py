"""Bounded, closable edges between steps, each with a named policy for when it is full.

``wait``         the sender waits (recorded media: nothing may be lost)
``drop_oldest``  the oldest item makes room (live media: late is worse than lost)
``latest``       only the newest item is kept (levels, frames for display)

Every drop is counted on the edge that dropped.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, Literal, Self, TypeVar

from tracker.runtime.broadcast import Broadcast

T = TypeVar("T")
Policy = Literal["wait", "drop_oldest", "latest"]


class EdgeClosed(Exception):
    """An item was sent into an edge that its sender had closed."""


class Edge(Generic[T]):
    """One sender side, one receiver; iterate to receive until the sender closes and all is read.

    Args:
        name: Shown in metrics.
        capacity: Items held at most; at least 1.
        policy: What happens to an item that does not fit.
    """

    def __init__(self, name: str, capacity: int, policy: Policy = "wait") -> None:
        if capacity < 1:
            raise ValueError(f"edge {name!r}: capacity must be at least 1, not {capacity}")
        self.name = name
        self.capacity = 1 if policy == "latest" else capacity
        self.policy = policy
        self.dropped = 0
        self._items: deque[T] = deque()
        self._closed = False
        self._changed = Broadcast()

    @property
    def depth(self) -> int:
        """Items waiting to be received."""
        return len(self._items)

    @property
    def closed(self) -> bool:
        """Whether the sender has closed the edge."""
        return self._closed

    async def send(self, item: T) -> None:
        """Put an item in, waiting for room under the policy ``wait``.

        Raises:
            EdgeClosed: The edge was closed before the item was in.
        """
        while self.policy == "wait" and len(self._items) >= self.capacity and not self._closed:
            await self._changed.wait()
        self.send_nowait(item)

    def send_nowait(self, item: T) -> None:
        """Put an item in at once; a full edge drops its oldest item and counts it.

        Raises:
            EdgeClosed: The edge is closed.
        """
        if self._closed:
            raise EdgeClosed(self.name)
        if len(self._items) >= self.capacity:
            self._items.popleft()
            self.dropped += 1
        self._items.append(item)
        self._changed.notify()

    async def offer(self, item: T) -> bool:
        """Like `send`, but returns False where the edge is closed: for receivers that may give up."""
        try:
            await self.send(item)
        except EdgeClosed:
            return False
        return True

    def close(self) -> None:
        """No more items will come; the receiver still gets those that are in. May be called twice."""
        self._closed = True
        self._changed.notify()

    def __aiter__(self) -> Self:
        """Every item in order, until the edge is closed and empty."""
        return self

    async def __anext__(self) -> T:
        """The next item."""
        for item in await self.take(1):
            return item
        raise StopAsyncIteration

    async def take(self, most: int) -> list[T]:
        """All items that wait, up to so many; waits for the first, and is empty where none will come.

        Args:
            most: At least 1.
        """
        while not self._items and not self._closed:
            await self._changed.wait()
        items = [self._items.popleft() for _ in range(min(most, len(self._items)))]
        self._changed.notify()
        return items
