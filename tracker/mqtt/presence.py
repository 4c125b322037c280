"""One tracker for each node: who publishes as it already, and what a dead one has left at the broker."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import final

import anyio

from tracker.errors import SinkError
from tracker.mqtt.connection import Connect, Connection, ConnectionLost, IncomingMessage, MessageRefused
from tracker.mqtt.messages import JSON
from tracker.mqtt.topics import Message, Topics, status

log = logging.getLogger(__name__)
_ANSWER_S = 1.0


@final
class Presence:
    """Connects as a node that no other tracker publishes as, and keeps it online.

    Before the first connection, it asks on the node's ``presence`` whether another tracker is there, which would say
    ``online``. If none does, the speakers' emotions that a killed one has left are cleared. From then on it answers
    such questions, and says ``online`` again if anybody says ``offline``, as the last will of a killed tracker does.

    Args:
        connect: Opens connections to the broker.
        topics: The node's.
        ask: Whether to ask; a broker of our own has nobody else before us.

    Attributes:
        subscriptions: What it answers to; nothing if the broker closes connections that subscribe to it.
    """

    def __init__(self, connect: Connect, topics: Topics, ask: bool = True) -> None:
        self._connect = connect
        self._topics = topics
        self._ask = ask
        self.subscriptions: tuple[str, ...] = (topics["status"], topics["presence"])

    @asynccontextmanager
    async def __call__(self, will: Message | None) -> AsyncIterator[Connection]:
        """Open a connection; see `Connect`.

        Raises:
            SinkError: Another tracker publishes as this node.
        """
        if self._ask:
            async with self._connect(None) as connection:
                self._ask = False
                try:
                    await self._claim(connection)
                except ConnectionLost:
                    self.subscriptions = ()
                except MessageRefused as error:
                    log.info("nobody can be asked", extra={"reason": str(error)})
        async with self._connect(will) as connection:
            yield connection

    def handle(self, message: IncomingMessage) -> list[Message]:
        """Say ``online`` where somebody asks or says ``offline``."""
        asked = message.topic == self._topics["presence"] and not message.retained
        gone = message.topic == self._topics["status"] and message.payload == b"offline"
        return [status(self._topics, online=True)] if asked or gone else []

    async def _claim(self, connection: Connection) -> None:
        """Ask, and wait for the question to come back: then everything retained has come, too."""
        own, question = self._topics["status"], self._topics["presence"]
        heard, answered = anyio.Event(), anyio.Event()
        retained: dict[str, bytes] = {}

        async def on_message(message: IncomingMessage) -> None:
            if message.retained:
                retained[message.topic] = message.payload
            elif message.topic == question:
                heard.set()
            elif message.payload == b"online":
                answered.set()

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(connection.receive, on_message, name="mqtt presence")
                await connection.subscribe([own, question, self._topics["speaker/+"]])
                await connection.publish(Message(question, "?", retain=False, content_type="text/plain"))
                with anyio.move_on_after(_ANSWER_S):
                    await heard.wait()
                    if retained.pop(own, b"") == b"online":
                        await answered.wait()
                group.cancel_scope.cancel()
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        if answered.is_set():
            raise SinkError(
                f"another tracker publishes as {self._topics.root}, so this one does not; set mqtt.node to another name"
            )
        for topic in retained.keys() - {own}:
            await connection.publish(Message(topic, "", retain=True, content_type=JSON))
