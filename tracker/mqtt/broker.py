"""A broker of our own, so that publishing works where there is no other: loopback only, gone with the session."""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import final

import anyio
from amqtt.broker import Broker
from amqtt.errors import BrokerError
from paho.mqtt.client import topic_matches_sub

from tracker.errors import SinkError
from tracker.mqtt.address import Address
from tracker.mqtt.connection import Connect, Link
from tracker.mqtt.topics import Message
from tracker.runtime.clock import NS_PER_S, Clock

_HOST = "127.0.0.1"
_SETTLES_S = 2.0
_LOOK_S = 0.01


@final
class OwnBroker:
    """The broker of this process, which acknowledges a message before its subscribers have it.

    Attributes:
        address: Where it listens.
    """

    def __init__(self, broker: Broker, address: Address) -> None:
        self._broker = broker
        self.address = address

    @property
    def idle(self) -> bool:
        """Whether every subscriber that is connected has acknowledged what was sent to it."""
        sessions = [session for session, _ in self._broker.sessions.values()]
        return not any(session.inflight_out_count for session in sessions if session.transitions.state == "connected")

    def heard(self, topic: str) -> bool:
        """Whether anybody who is connected listens to a topic."""
        return any(
            topic_matches_sub(wanted, topic)
            and any(session.transitions.state == "connected" for session, _ in subscriptions)
            for wanted, subscriptions in self._broker.subscriptions.items()
        )

    async def settle(self) -> None:
        """Wait, for two seconds at most, until every subscriber has what was published."""
        with anyio.move_on_after(_SETTLES_S, shield=True):
            await anyio.sleep(_LOOK_S)
            while not self.idle:  # noqa: ASYNC110 - the broker has no event for it
                await anyio.sleep(_LOOK_S)

    async def wait_for_listener(self, topic: str, at_most_s: float) -> None:
        """Wait until somebody listens to a topic."""
        with anyio.move_on_after(at_most_s):
            while not self.heard(topic):  # noqa: ASYNC110 - likewise
                await anyio.sleep(0.1)

    def lingering(self, connect: Connect) -> Connect:
        """A connection that is left only when subscribers have what was published on it."""

        @asynccontextmanager
        async def stay(goodbye: Message) -> AsyncIterator[Link]:
            try:
                async with connect(goodbye) as link:
                    yield link
            finally:
                await self.settle()

        def opened(goodbye: Message) -> AbstractAsyncContextManager[Link]:
            return stay(goodbye)

        return opened


@final
class Arrivals:
    """How far subscribers of our own broker surely are: what was published a second ago, if nobody owes an answer.

    In a second the broker has long sent a message on, so that it is under way to a subscriber, or with all of them.

    Args:
        broker: Ours.
        clock: The monotonic clock.
        after_s: The second.
    """

    def __init__(self, broker: OwnBroker, clock: Clock, after_s: float = 1.0) -> None:
        self._broker = broker
        self._clock = clock
        self._after_ns = round(after_s * NS_PER_S)
        self._sent: deque[tuple[int, int]] = deque()

    def __call__(self, seq: int) -> int | None:
        """An event was published; the last one that has arrived, if that is news."""
        now_ns = self._clock.now_ns()
        self._sent.append((now_ns, seq))
        arrived = None
        while self._broker.idle and self._sent[0][0] <= now_ns - self._after_ns:
            arrived = self._sent.popleft()[1]
        return arrived

    @property
    def complete(self) -> bool:
        """Whether nobody owes an answer."""
        return self._broker.idle


@asynccontextmanager
async def embedded_broker(port: int) -> AsyncIterator[OwnBroker]:
    """Run a broker on 127.0.0.1 that anybody on this machine may use; it speaks MQTT 3.1.1, and not 5.

    Args:
        port: TCP port; 0 takes any free one.

    Raises:
        SinkError: It cannot listen there.
    """
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    port = port or _free_port()
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{_HOST}:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    try:
        await broker.start()
    except BrokerError as error:
        raise SinkError(
            f"port {port} is not to be had for the own broker: set mqtt.port = 0 to take any free one, "
            f"or mqtt.url = 'mqtt://localhost:{port}' to use the broker that is there"
        ) from error
    own = OwnBroker(broker, Address(_HOST, port))
    try:
        yield own
    finally:
        await own.settle()
        await broker.shutdown()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def port_or_any(port: int) -> int:
    """The port if it can be listened on, else 0: any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return 0
    return port
