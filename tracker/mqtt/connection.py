"""What a connection to a broker can do, whatever library makes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from tracker.mqtt.topics import Message


class ConnectionLost(Exception):
    """The broker cannot be reached, refused the connection, or closed it; the message says why."""


class MessageRefused(Exception):
    """The broker does not accept a message, and the connection lasts; the message says why.

    Attributes:
        topic_refused: Whether it would not accept any other message on that topic either.
    """

    def __init__(self, reason: str, topic_refused: bool = False) -> None:
        super().__init__(reason)
        self.topic_refused = topic_refused


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
            MessageRefused: The broker does not accept it, or it is no valid message.
        """

    async def subscribe(self, filters: Sequence[str]) -> dict[str, str]:
        """Subscribe to topics.

        Args:
            filters: Topic filters; may be none.

        Returns:
            Why, for each filter that the broker refuses.

        Raises:
            ConnectionLost: The broker did not answer.
        """

    async def receive(self, on_message: Callable[[IncomingMessage], Awaitable[None]]) -> None:
        """Receive messages for as long as the connection lasts.

        Args:
            on_message: Called with each message.

        Raises:
            ConnectionLost: The connection is over.
        """


class Connect(Protocol):
    """Opens connections, one at a time."""

    def __call__(self, will: Message | None) -> AbstractAsyncContextManager[Connection]:
        """Connect; on leaving, publish the will and disconnect.

        Args:
            will: The broker publishes it when the connection is lost; None: nothing.

        Raises:
            ConnectionLost: The broker cannot be reached or refused the connection (on entering).
        """
