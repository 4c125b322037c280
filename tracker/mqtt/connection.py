"""What a connection to a broker can do, whatever library makes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from tracker.mqtt.topics import Message


class ConnectionLost(Exception):
    """The broker cannot be reached, refused the connection, or closed it; the message says why."""


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A message from the broker.

    Attributes:
        topic: Its topic.
        payload: As it came.
        retained: Whether the broker had kept it from an earlier time.
        response_topic: Where the sender wants a reply, or None.
        correlation_data: How the sender recognises the reply, or None.
    """

    topic: str
    payload: bytes
    retained: bool = False
    response_topic: str | None = None
    correlation_data: bytes | None = None


class Connection(Protocol):
    """An open connection."""

    async def publish(self, message: Message) -> None:
        """Publish a message; return when the broker has acknowledged it.

        Raises:
            ConnectionLost: It was not acknowledged; the broker may have it all the same.
        """

    async def receive(
        self, subscriptions: Sequence[str], on_message: Callable[[IncomingMessage], Awaitable[None]]
    ) -> None:
        """Receive messages for as long as the connection lasts.

        Args:
            subscriptions: Topic filters; may be none.
            on_message: Called with each message.

        Raises:
            ConnectionLost: The connection is over.
        """


class Connect(Protocol):
    """Opens connections, one at a time."""

    def __call__(self, will: Message) -> AbstractAsyncContextManager[Connection]:
        """Connect; on leaving, publish the will and disconnect.

        Args:
            will: The broker publishes it when the connection is lost.

        Raises:
            ConnectionLost: The broker cannot be reached or refused the connection (on entering).
        """
