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

from tracker.clock import NS_PER_S, Clock
from tracker.errors import SinkError
from tracker.sinks.address import Address
from tracker.sinks.connection import Connect, Link
from tracker.sinks.topics import Message

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
    def owed(self) -> set[tuple[str, int]]:
        """What was sent to subscribers that are connected, and not acknowledged: client and packet id.

        The broker gives a message up after five seconds.
        """
        sessions = [session for session, _ in self._broker.sessions.values()]
        connected = [session for session in sessions if session.transitions.state == "connected"]
        return {(str(session.client_id), packet) for session in connected for packet in session.inflight_out}

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
            while self.owed:  # noqa: ASYNC110 - the broker has no event for it
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
    """How far subscribers of our own broker surely are.

    In a second the broker has long sent a message on. So what was published a second ago has arrived once all that is
    owed now is acknowledged. What is sent meanwhile does not count: where events come faster than answers, something
    is always owed.

    After a kill, the next run therefore repeats at most as many events as are published in a second and twice the time
    that subscribers take to answer, five seconds at most, where they come fastest.

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
        self._due: int | None = None  # has arrived once what it waits for is acknowledged
        self._waits_for: set[tuple[str, int]] = set()

    def __call__(self, seq: int) -> int | None:
        """An event was published; the last one that has arrived, if that is news."""
        now_ns = self._clock.now_ns()
        self._sent.append((now_ns, seq))
        arrived = self._settled()
        if self._due is None:
            while self._sent[0][0] <= now_ns - self._after_ns:
                self._due = self._sent.popleft()[1]
            self._waits_for = self._broker.owed
        newer = self._settled()
        return arrived if newer is None else newer

    def _settled(self) -> int | None:
        self._waits_for &= self._broker.owed
        if self._waits_for:
            return None
        arrived, self._due = self._due, None
        return arrived

    @property
    def complete(self) -> bool:
        """Whether nobody owes an answer."""
        return not self._broker.owed


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
