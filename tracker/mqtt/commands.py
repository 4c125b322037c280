"""Commands: requests to the session that arrive on ``cmd/<name>``, and the reply to each. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from tracker.errors import RequestError
from tracker.mqtt.connection import IncomingMessage
from tracker.mqtt.messages import JSON
from tracker.mqtt.payloads import Reply, dumps
from tracker.mqtt.topics import Message, Topics
from tracker.runtime.control import REQUEST_NAMES, Request, decode


@final
class Commands:
    """Passes on every command as a request and replies to it.

    A retained command is ignored: it was meant for an earlier session, and would reach every new one.

    Args:
        topics: Where commands arrive and replies go.
        request: Requests something of the session; returns at once.
    """

    def __init__(self, topics: Topics, request: Callable[[Request], None]) -> None:
        self._topics = topics
        self._request = request
        self._names = {topics[f"cmd/{name}"]: name for name in REQUEST_NAMES}
        self.subscriptions = tuple(self._names)

    def handle(self, message: IncomingMessage) -> list[Message]:
        """Request what a command says; returns the reply, or nothing if the message is not a command."""
        name = self._names.get(message.topic)
        if message.retained or not name:
            return []
        try:
            self._request(decode(name, message.payload))
        except RequestError as error:
            reply = Reply(command=name, ok=False, error=str(error))
        else:
            reply = Reply(command=name, ok=True, error=None)
        wanted = message.response_topic or ""
        topic = wanted if wanted and not set("#+\0") & set(wanted) else self._topics["cmd/reply"]
        return [
            Message(topic, dumps(reply), retain=False, content_type=JSON, correlation_data=message.correlation_data)
        ]
