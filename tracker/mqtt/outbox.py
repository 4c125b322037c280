"""Events that wait for the broker: in order, bounded, and counted where they are dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, final

from tracker.events import Event
from tracker.mqtt.messages import Composer
from tracker.mqtt.topics import Message

Compose = Callable[[Event, bool], list[Message]]


def all_of(composers: Sequence[Composer]) -> Compose:
    """The messages that several composers make of an event, one after the other."""
    return lambda event, late: [message for composer in composers for message in composer.of(event, late)]


class Waiting(Protocol):
    """A first-in-first-out line whose head stays until it is acknowledged."""

    @property
    def dropped(self) -> int:
        """Messages that were dropped for lack of room."""

    @property
    def full(self) -> bool:
        """Whether the next event costs another."""

    @property
    def kept(self) -> bool:
        """Whether what still waits at the end is delivered by a later run."""

    @property
    def head(self) -> Message | None:
        """The next message to publish."""

    def __len__(self) -> int: ...

    def put(self, event: Event, late: bool) -> None:
        """Add an event at the end, making room if need be."""

    def acknowledge(self, message: Message) -> None:
        """The broker has a message; it may have been dropped meanwhile."""

    def close(self, over: bool) -> None:
        """No more is delivered in this run.

        Args:
            over: Whether the session's last event is in.
        """


@final
class Outbox:
    """Waits in memory, and is gone with the process.

    Args:
        capacity: Messages kept at most, give or take those of one event. Past it goes the oldest expendable message,
            else the oldest that is not retained: a turn may be lost, a session's state is not.
        compose: The messages of an event.
    """

    kept = False

    def __init__(self, capacity: int, compose: Compose) -> None:
        self._capacity = capacity
        self._compose = compose
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

    def put(self, event: Event, late: bool) -> None:
        """Add an event's messages at the end, making room for each where there was none before."""
        was_full = self.full
        for message in self._compose(event, late):
            self._waiting.append(message)
            if was_full:
                self._drop_one()

    def acknowledge(self, message: Message) -> None:
        """The broker has a message; it may have been dropped meanwhile."""
        if self._waiting and self._waiting[0] is message:
            self._waiting.popleft()

    def close(self, over: bool) -> None:
        """Nothing to be put away."""

    def _drop_one(self) -> None:
        def first(*, expendable: bool) -> int | None:
            fits = (i for i, m in enumerate(self._waiting) if m.expendable or not (m.retain or expendable))
            return next(fits, None)

        index = first(expendable=True)
        if index is None:
            index = first(expendable=False) or 0
        del self._waiting[index]
        self.dropped += 1
