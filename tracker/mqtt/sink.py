"""Publishing over MQTT: in order, at least once, and again after each lost connection."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, final

import anyio
import anyio.lowlevel

from tracker.events import Event, Preview, TurnEnded, TurnSkipped
from tracker.metrics.model import SessionMetrics
from tracker.mqtt.address import Address
from tracker.mqtt.backoff import delays_s
from tracker.mqtt.connection import Connect, Connection, ConnectionLost, IncomingMessage
from tracker.mqtt.disk_outbox import DiskOutbox
from tracker.mqtt.messages import metrics, preview_message
from tracker.mqtt.outbox import Outbox
from tracker.mqtt.payloads import PublishedMetrics
from tracker.mqtt.topics import Message, Topics, status
from tracker.runtime.broadcast import Broadcast

log = logging.getLogger(__name__)
_GRACE_S = 3.0


class MessageHandler(Protocol):
    """Takes messages from the broker.

    Attributes:
        subscriptions: Topic filters of the messages that it wants.
    """

    subscriptions: tuple[str, ...]

    def handle(self, message: IncomingMessage) -> list[Message]:
        """Take a message, which may be meant for another handler; returns the replies."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to publish.

    Attributes:
        address: The broker's, named in messages to the user.
        connect: Opens a connection to it.
        topics: The tracker's topics.
        ready: Awaited on each connection before the first event; for three seconds at most once the session is over.
        flush: Awaited once everything that an earlier run has left is published.
    """

    address: Address
    connect: Connect
    topics: Topics
    ready: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint
    flush: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """How to publish.

    Attributes:
        text: Whether previews carry their words.
        drain_s: Seconds that the end of the session waits for undelivered messages.
        session_metrics: Reads the session's metrics.
        rand: Jitter of the waits between attempts to connect, from 0 up to 1.
        sleep: Waits seconds.
    """

    text: bool = True
    drain_s: float = 5.0
    session_metrics: Callable[[], SessionMetrics] = SessionMetrics
    rand: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep


DEFAULTS = SinkOptions()


@final
class MqttSink:
    """Publishes every event on the topics that `tracker.mqtt.topics` lists.

    One message is inflight at a time: the next is sent once the broker has acknowledged the one before. That keeps the
    order, and makes it clear where to continue after a lost connection. A message whose acknowledgement was lost is
    sent twice; subscribers recognise it by ``seq``. Retained messages are sent again after each lost connection, since
    a broker that was restarted may have lost them.

    Args:
        endpoint: Where to publish.
        outbox: Where events wait until they are delivered.
        report: Tells the user one sentence.
        earlier: What earlier runs have left; delivered first, the oldest first.
        handlers: Take messages from the broker.
        options: How to publish.
    """

    name = "mqtt"

    def __init__(
        self,
        endpoint: Endpoint,
        outbox: Outbox,
        report: Callable[[str], None],
        *,
        earlier: Sequence[DiskOutbox] = (),
        handlers: Sequence[MessageHandler] = (),
        options: SinkOptions = DEFAULTS,
    ) -> None:
        self._endpoint = endpoint
        self._outbox = outbox
        self._report = report
        self._earlier = [*earlier]
        self._handlers = handlers
        self._options = options
        self._preview: Preview | None = None  # the latest, not yet published
        self._session = ""
        self._turns = self._delivered = self._late = self._connections = 0
        self._connected = False
        self._retained: dict[str, Message] = {}  # by topic
        self._ended = anyio.Event()
        self._outage = False
        self._changed = Broadcast()

    @property
    def waiting(self) -> int:
        """Messages that are not delivered yet."""
        return sum(map(len, self._outboxes))

    @property
    def metrics(self) -> PublishedMetrics:
        """The session's metrics and those of publishing, as of now."""
        values = dict(self._options.session_metrics()) | {"turns": self._turns}  # a replay collects no metrics
        return PublishedMetrics(
            **values,
            session=self._session,
            messages_delivered=self._delivered,
            messages_late=self._late,
            messages_waiting=self.waiting,
            messages_dropped=sum(outbox.dropped for outbox in self._outboxes),
            reconnects=max(0, self._connections - 1),
            connected=self._connected,
        )

    @property
    def _outboxes(self) -> list[Outbox]:
        return [*self._earlier, self._outbox]

    def state(self) -> str:
        """What the connection is doing, in a few words."""
        kept = f", {waiting} kept" if (waiting := self.waiting) else ""
        if self._connected:
            return f"connected{kept}"
        return f"away, trying again{kept}" if self._outage else "connecting"

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Publish every event; at the end drain the outbox for a while, then report what was not delivered."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._stay_connected, name="mqtt connection")
                async for event in events:
                    if isinstance(event, TurnEnded | TurnSkipped):
                        self._preview = None  # superseded, whichever turn it was about
                    while self._outbox.full and self._connected:
                        await self._changed.wait()
                    self._session = event.session
                    self._turns += isinstance(event, TurnEnded)
                    self._outbox.put(event, self._outage)
                    self._changed.notify()
                self._ended.set()
                self._changed.notify()
                group.cancel_scope.deadline = anyio.current_time() + self._options.drain_s
        finally:
            self._report_undelivered()
            self._outbox.close(over=self._ended.is_set())
            for outbox in self._earlier:
                outbox.close(over=True)

    async def run_previews(self, previews: AsyncIterable[Preview]) -> None:
        """Publish the latest preview once everything else is delivered."""
        async for preview in previews:
            self._preview = preview
            self._changed.notify()

    async def _stay_connected(self) -> None:
        """Deliver until the session is over and everything is delivered."""
        topics, rand = self._endpoint.topics, self._options.rand
        delays = delays_s(rand)
        while True:
            try:
                async with self._endpoint.connect(will=status(topics, online=False)) as connection:
                    await connection.publish(status(topics, online=True))
                    self._on_connected()
                    for message in [*self._retained.values()]:
                        await connection.publish(message)
                    delays = delays_s(rand)
                    await self._deliver_while_connected(connection)
                    return
            except ConnectionLost as error:
                self._on_connection_lost(error)
            if await self._back_off(next(delays)):
                delays = delays_s(rand)

    async def _back_off(self, seconds: float) -> bool:
        """Wait before the next attempt; True if the end of the session has cut the wait short."""
        if self._ended.is_set():
            await self._options.sleep(seconds)
            return False
        await self._unless_ended(lambda: self._options.sleep(seconds))
        return self._ended.is_set()

    async def _unless_ended(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Wait for something, or for the end of the session."""

        async def first() -> None:
            await wait()
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(first, name="mqtt wait")
            await self._ended.wait()
            group.cancel_scope.cancel()

    async def _deliver_while_connected(self, connection: Connection) -> None:
        async def on_message(message: IncomingMessage) -> None:
            for handler in self._handlers:
                for reply in handler.handle(message):
                    await connection.publish(reply)

        subscriptions = [topic for handler in self._handlers for topic in handler.subscriptions]
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(connection.receive, subscriptions, on_message, name="mqtt receive")
                await self._unless_ended(self._endpoint.ready)
                if self._ended.is_set():
                    with anyio.move_on_after(_GRACE_S):
                        await self._endpoint.ready()
                await self._deliver_earlier(connection)
                await self._deliver(connection)
                group.cancel_scope.cancel()
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _deliver_earlier(self, connection: Connection) -> None:
        while self._earlier:
            outbox = self._earlier[0]
            late_before = self._late
            while message := outbox.head:
                await self._publish(connection, outbox, message)
                self._late += 1
            await self._endpoint.flush()
            del self._earlier[0]
            outbox.close(over=True)
            if count := self._late - late_before:
                self._report(f"{count} events of an earlier run were delivered to {self._endpoint.address}")

    async def _deliver(self, connection: Connection) -> None:
        while True:
            while message := self._outbox.head:
                await self._publish(connection, self._outbox, message)
                self._changed.notify()
            if self._preview:
                preview, self._preview = self._preview, None
                await connection.publish(preview_message(self._endpoint.topics, preview, self._options.text))
            await connection.publish(metrics(self._endpoint.topics, self.metrics))
            if self._outbox.head:
                continue
            if self._ended.is_set():
                return
            await self._changed.wait()

    async def _publish(self, connection: Connection, outbox: Outbox, message: Message) -> None:
        await connection.publish(message)
        outbox.acknowledge(message)
        self._delivered += 1
        if message.retain and message.expiry_s is None:
            self._retained.pop(message.topic, None)
            if message.payload:
                self._retained[message.topic] = message

    def _on_connected(self) -> None:
        self._connected = True
        self._connections += 1
        if self._outage:
            self._outage = False
            self._report(f"the broker at {self._endpoint.address} is back; {len(self._outbox)} kept messages follow")

    def _on_connection_lost(self, error: ConnectionLost) -> None:
        self._connected = False
        address = self._endpoint.address
        log.info("no connection to the broker", extra={"broker": str(address), "reason": str(error)})
        if not self._outage:
            self._outage = True
            self._report(f"the broker at {address} cannot be reached ({error}); trying again, messages are kept")
        self._changed.notify()

    def _report_undelivered(self) -> None:
        """Report what subscribers did not receive."""
        lost = [f"{self._outbox.dropped} messages were dropped"] if self._outbox.dropped else []
        left = len(self._outbox) + sum(map(len, self._earlier))
        if left:
            later = "; the next run, or tracker sessions flush, delivers them" if self._outbox.kept else ""
            silent = "" if self._connections or self._outage else ", as it has not answered yet"
            lost.append(f"{left} could not be delivered{silent}{later}")
        if lost:
            self._report(f"the broker at {self._endpoint.address}: {' and '.join(lost)}")
