"""Events that wait for the broker: in order, bounded, and counted if they are dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, final

from tracker.events import Event
from tracker.mqtt.messages import Composer
from tracker.mqtt.topics import Message

Compose = Callable[[Event, bool], list[Message]]


def compose_all(composers: Sequence[Composer]) -> Compose:
    """The messages that several composers make of an event, one after the other."""
    return lambda event, late: [message for composer in composers for message in composer.compose(event, late)]


class Outbox(Protocol):
    """A queue whose head stays until it is acknowledged."""

    @property
    def dropped(self) -> int:
        """Messages that were dropped for lack of room."""

    @property
    def full(self) -> bool:
        """Whether putting another event in drops a message."""

    @property
    def kept(self) -> bool:
        """Whether a later run delivers what still waits at the end."""

    @property
    def head(self) -> Message | None:
        """The next message to publish."""

    def __len__(self) -> int: ...

    def put(self, event: Event, late: bool) -> None:
        """Add an event at the end, making room if need be."""

    def acknowledge(self, message: Message) -> None:
        """The broker has acknowledged a message, which may have been dropped meanwhile."""

    def set_aside(self, message: Message) -> None:
        """The broker refuses a message: go on with the next one, and keep its event for a later run if possible."""

    def close(self, over: bool) -> None:
        """This run delivers no more.

        Args:
            over: Whether the session's last event has been put in.
        """


@final
class MemoryOutbox:
    """Waits in memory, and is gone with the process.

    Args:
        capacity: Messages kept at most, give or take those of one event. Beyond that the oldest expendable message is
            dropped, else the oldest that is not retained: a turn may be lost, a session's state is not.
        compose: The messages of an event.
    """

    kept = False

    def __init__(self, capacity: int, compose: Compose) -> None:
        self._capacity = capacity
        self._compose = compose
        self._messages: deque[Message] = deque()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def full(self) -> bool:
        """Whether putting another message in drops one."""
        return len(self._messages) >= self._capacity

    @property
    def head(self) -> Message | None:
        """The next message to publish."""
        return self._messages[0] if self._messages else None

    def put(self, event: Event, late: bool) -> None:
        """Add an event's messages at the end, dropping one for each if it was full before."""
        was_full = self.full
        for message in self._compose(event, late):
            self._messages.append(message)
            if was_full:
                self._drop_one()

    def acknowledge(self, message: Message) -> None:
        """The broker has acknowledged a message, which may have been dropped meanwhile."""
        if self._messages and self._messages[0] is message:
            self._messages.popleft()

    set_aside = acknowledge

    def close(self, over: bool) -> None:
        """Nothing to be kept."""

    def _drop_one(self) -> None:
        def first(*, expendable: bool) -> int | None:
            fits = (i for i, m in enumerate(self._messages) if m.expendable or not (m.retain or expendable))
            return next(fits, None)

        index = first(expendable=True)
        if index is None:
            index = first(expendable=False) or 0
        del self._messages[index]
        self.dropped += 1
