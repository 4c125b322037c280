"""Messages that wait for the broker: in order, bounded, and counted where they are dropped. Pure."""

from __future__ import annotations

from collections import deque

from tracker.sinks.topics import Message


class Outbox:
    """A first-in-first-out line whose head stays until it is acknowledged.

    Args:
        capacity: Messages kept at most. Past it goes the oldest expendable message, else the oldest that is not
            retained: a turn may be lost, a session's state is not.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: deque[Message] = deque()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether the next message costs another."""
        return len(self._waiting) >= self._capacity

    @property
    def head(self) -> Message | None:
        """The next message to publish."""
        return self._waiting[0] if self._waiting else None

    def put(self, message: Message) -> None:
        """Add a message at the end, making room if need be."""
        self._waiting.append(message)
        if len(self._waiting) > self._capacity:
            self._drop_one()

    def acknowledge(self, message: Message) -> None:
        """The broker has a message; it may have been dropped meanwhile."""
        if self._waiting and self._waiting[0] is message:
            self._waiting.popleft()

    def _drop_one(self) -> None:
        def first(*, expendable: bool) -> int | None:
            fits = (i for i, m in enumerate(self._waiting) if not m.retain and (m.expendable or not expendable))
            return next(fits, None)

        index = first(expendable=True)
        if index is None:
            index = first(expendable=False) or 0
        del self._waiting[index]
        self.dropped += 1
