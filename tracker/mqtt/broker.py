"""The embedded broker, so that publishing works without another one: on loopback only, and only for the session."""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, final

import anyio

from tracker.errors import SinkError, needs_extra
from tracker.mqtt.address import Address
from tracker.mqtt.connection import Connect, Connection
from tracker.mqtt.topics import Message
from tracker.runtime.clock import NS_PER_S, Clock

if TYPE_CHECKING:
    from amqtt.broker import Broker

_HOST = "127.0.0.1"
_FLUSH_S = 2.0
_POLL_S = 0.01


@final
class EmbeddedBroker:
    """A broker in this process. It acknowledges a message before its subscribers do.

    Attributes:
        address: Where it listens.
    """

    def __init__(self, broker: Broker, address: Address) -> None:
        self._broker = broker
        self.address = address

    @property
    def inflight(self) -> set[tuple[str, int]]:
        """What connected subscribers have not acknowledged yet: client id and packet id.

        The broker gives a message up after five seconds.
        """
        sessions = [session for session, _ in self._broker.sessions.values()]
        connected = [session for session in sessions if session.transitions.state == "connected"]
        return {(str(session.client_id), packet) for session in connected for packet in session.inflight_out}

    def has_subscriber(self, topic: str) -> bool:
        """Whether a connected client has subscribed to a topic."""
        from paho.mqtt.client import topic_matches_sub

        return any(
            topic_matches_sub(topic_filter, topic)
            and any(session.transitions.state == "connected" for session, _ in subscriptions)
            for topic_filter, subscriptions in self._broker.subscriptions.items()
        )

    async def flush(self) -> None:
        """Wait, for two seconds at most, until every subscriber has what was published."""
        with anyio.move_on_after(_FLUSH_S, shield=True):
            await anyio.sleep(_POLL_S)
            while self.inflight:  # noqa: ASYNC110 - the broker has no event for it
                await anyio.sleep(_POLL_S)

    async def wait_for_subscriber(self, topic: str, at_most_s: float) -> None:
        """Wait until a client has subscribed to a topic."""
        with anyio.move_on_after(at_most_s):
            while not self.has_subscriber(topic):  # noqa: ASYNC110 - likewise
                await anyio.sleep(0.1)

    def lingering(self, connect: Connect) -> Connect:
        """Make connections stay open until subscribers have what was published on them."""

        @asynccontextmanager
        async def linger(will: Message | None) -> AsyncIterator[Connection]:
            try:
                async with connect(will) as connection:
                    yield connection
            finally:
                await self.flush()

        return linger


@final
class SubscriberConfirmation:
    """Confirms the events that the embedded broker's subscribers have acknowledged.

    Within a second the broker has sent a message on. So an event published a second ago is confirmed once everything
    that is inflight now is acknowledged. What is sent meanwhile does not count: if events come faster than
    acknowledgements, something is always inflight.

    So after a kill, the next run repeats at most as many events as are published in one second plus twice the time that
    subscribers take to acknowledge (at most five seconds).

    Args:
        broker: The embedded broker.
        clock: The monotonic clock.
        after_s: The second.
    """

    def __init__(self, broker: EmbeddedBroker, clock: Clock, after_s: float = 1.0) -> None:
        self._broker = broker
        self._clock = clock
        self._after_ns = round(after_s * NS_PER_S)
        self._published: deque[tuple[int, int]] = deque()
        self._candidate: int | None = None  # confirmed once what it waits for is acknowledged
        self._waits_for: set[tuple[str, int]] = set()

    def __call__(self, seq: int) -> int | None:
        """The broker has acknowledged an event; the last event confirmed, or None if there is no new one."""
        now_ns = self._clock.now_ns()
        self._published.append((now_ns, seq))
        confirmed = self._confirmed()
        if self._candidate is None:
            while self._published[0][0] <= now_ns - self._after_ns:
                self._candidate = self._published.popleft()[1]
            self._waits_for = self._broker.inflight
        newer = self._confirmed()
        return confirmed if newer is None else newer

    def _confirmed(self) -> int | None:
        self._waits_for &= self._broker.inflight
        if self._waits_for:
            return None
        confirmed, self._candidate = self._candidate, None
        return confirmed

    @property
    def complete(self) -> bool:
        """Whether nothing is inflight."""
        return not self._broker.inflight


@asynccontextmanager
async def embedded_broker(port: int) -> AsyncIterator[EmbeddedBroker]:
    """Run a broker on 127.0.0.1 that everybody on this machine may use; it speaks MQTT 3.1.1 only.

    Args:
        port: TCP port; 0: any free one.

    Raises:
        SinkError: It cannot listen there.
        ExtraMissing: amqtt is not installed.
    """
    with needs_extra("mqtt", "publishing over MQTT"):
        from amqtt.broker import Broker

        from tracker.mqtt.listener import LISTENERS, listen

    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    broker = Broker(
        {
            "listeners": LISTENERS,
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    async with AsyncExitStack() as ending:
        ending.push_async_callback(broker.shutdown)
        try:
            listening = await ending.enter_async_context(listen(broker, _HOST, port))
        except OSError as error:
            raise SinkError(
                f"port {port} is not available for the embedded broker: set mqtt.port = 0 to use any free port, "
                f"or mqtt.url = 'mqtt://localhost:{port}' to use the broker that is there"
            ) from error
        embedded = EmbeddedBroker(broker, Address(_HOST, listening))
        ending.push_async_callback(embedded.flush)
        yield embedded


def port_or_any(port: int) -> int:
    """The port if it is free, else 0: any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return 0
    return port
