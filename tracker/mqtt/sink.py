"""Publishing over MQTT: in order, at least once, and again after each lost connection."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, final

import anyio
import anyio.lowlevel

from tracker.events import Event, Preview, TurnEnded, TurnSkipped
from tracker.metrics.model import SessionMetrics
from tracker.mqtt.address import Address
from tracker.mqtt.backoff import delays_s
from tracker.mqtt.connection import Connect, Connection, ConnectionLost, IncomingMessage, MessageRefused
from tracker.mqtt.disk_outbox import DiskOutbox
from tracker.mqtt.messages import metrics, preview_message
from tracker.mqtt.outbox import Outbox
from tracker.mqtt.payloads import PublishedMetrics
from tracker.mqtt.refusals import Refusals
from tracker.mqtt.topics import Message, Topics, status
from tracker.runtime.broadcast import Broadcast

log = logging.getLogger(__name__)
_GRACE_S = 3.0
_ATTEMPTS = 3


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
        present: Whether to say that the tracker is online, and how it goes.
        text: Whether previews carry their words.
        drain_s: Seconds that the end of the session waits for undelivered messages.
        session_metrics: Reads the session's metrics.
        rand: Jitter of the waits between attempts to connect, from 0 up to 1.
        sleep: Waits seconds.
    """

    present: bool = True
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

    A message that the broker refuses, or at which the connection was lost three times in a row, is set aside, so that
    the others are delivered. The outbox keeps its event for a later run.

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
        self._refusals = Refusals()
        self._attempts: Counter[tuple[str, int | None]] = Counter()  # in vain, by topic and number of the event
        self._inflight: tuple[str, int | None] | None = None
        self._getting_on = self._connected = self._failed = False
        self._retained: dict[str, Message] = {}  # by topic
        self._ended = anyio.Event()
        self._outage = False
        self._changed = Broadcast()

    @property
    def waiting(self) -> int:
        """Messages that are not delivered yet."""
        return sum(map(len, self._outboxes))

    def refused(self) -> int:
        """Messages that the broker has refused."""
        return self._refusals.messages

    @property
    def undelivered(self) -> int:
        """Messages and refused events that are left for a later run."""
        return self.waiting + len(self._refusals.events) + self._refusals.earlier

    @property
    def metrics(self) -> PublishedMetrics:
        """The session's metrics and those of publishing, as of now."""
        values = dict(self._options.session_metrics())
        values |= {"turns": self._turns, "messages_refused": self.refused()}  # a replay collects no metrics
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
        counts = "".join(f", {n} {what}" for what, n in (("kept", self.waiting), ("refused", self.refused())) if n)
        if self._failed:
            return "failed, nothing is published"
        if self._connected:
            return f"connected{counts}"
        return f"away, trying again{counts}" if self._outage else "connecting"

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Publish every event; at the end drain the outbox for a while, then report what was not delivered.

        Then the outboxes are closed; not if publishing fails, as the session may go on and its log grow.
        """
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
        except Exception:
            self._failed = True
            raise
        finally:
            self._report_undelivered()
        for outbox in self._outboxes:
            outbox.close(over=True)

    async def run_previews(self, previews: AsyncIterable[Preview]) -> None:
        """Publish the latest preview once everything else is delivered."""
        async for preview in previews:
            self._preview = preview
            self._changed.notify()

    async def _stay_connected(self) -> None:
        """Deliver until the session is over and everything is delivered."""
        topics, rand, present = self._endpoint.topics, self._options.rand, self._options.present
        will = status(topics, online=False) if present else None
        delays = delays_s(rand)
        while True:
            try:
                async with self._endpoint.connect(will) as connection:
                    if present:
                        await self._send(connection, status(topics, online=True))
                    self._on_connected()
                    for message in [*self._retained.values()]:
                        await self._send(connection, message)
                    self._getting_on = False
                    await self._deliver_while_connected(connection)
                    return
            except ConnectionLost as error:
                self._on_connection_lost(error)
            if self._getting_on:
                self._getting_on, delays = False, delays_s(rand)
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
                    try:
                        await connection.publish(reply)
                    except MessageRefused as error:
                        log.warning("reply refused", extra={"topic": reply.topic, "reason": str(error)})

        subscriptions = [topic for handler in self._handlers for topic in handler.subscriptions]
        try:
            for topic, reason in (await connection.subscribe(subscriptions)).items():
                self._report_refused(topic, reason)
            async with anyio.create_task_group() as group:
                group.start_soon(connection.receive, on_message, name="mqtt receive")
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
            late_before, refused_before = self._late, self._refusals.messages
            while message := outbox.head:
                refusal = await self._publish(connection, outbox, message)
                self._late += refusal is None
                if refusal and refusal.topic_refused:
                    break  # so would be the others
            await self._endpoint.flush()
            del self._earlier[0]
            outbox.close(over=True)
            if count := self._late - late_before:
                self._report(f"{count} events of an earlier run were delivered to {self._endpoint.address}")
            self._refusals.earlier += self._refusals.messages - refused_before + len(outbox)

    async def _deliver(self, connection: Connection) -> None:
        while True:
            while message := self._outbox.head:
                await self._publish(connection, self._outbox, message)
                self._changed.notify()
            if self._preview:
                preview, self._preview = self._preview, None
                await self._send(connection, preview_message(self._endpoint.topics, preview, self._options.text))
            if self._options.present:
                await self._send(connection, metrics(self._endpoint.topics, self.metrics))
            self._getting_on = True
            if self._outbox.head:
                continue
            if self._ended.is_set():
                return
            await self._changed.wait()

    async def _publish(self, connection: Connection, outbox: Outbox, message: Message) -> MessageRefused | None:
        """Publish the head of an outbox, or set it aside."""
        refusal = await self._send(connection, message)
        self._getting_on = True
        if refusal:
            outbox.set_aside(message)
            if outbox is self._outbox and message.seq is not None:
                self._refusals.events.append(message.seq)
            return refusal
        outbox.acknowledge(message)
        self._delivered += 1
        if message.retain and message.expiry_s is None:
            self._retained.pop(message.topic, None)
            if message.payload:
                self._retained[message.topic] = message
        return None

    async def _send(self, connection: Connection, message: Message) -> MessageRefused | None:
        """Publish a message; returns why if it is refused, which is said once for each topic."""
        key = (message.topic, message.seq)
        refusal = None
        if self._attempts[key] < _ATTEMPTS:
            self._attempts[key] += 1
            self._inflight = key
            try:
                await connection.publish(message)
            except MessageRefused as error:
                refusal = error
            self._inflight = None
            del self._attempts[key]
        else:
            self._attempts[key] -= 1  # the next message like this one is tried once
            refusal = MessageRefused(f"the connection was lost {_ATTEMPTS} times while it was sent")
        if refusal:
            self._refusals.messages += 1
            self._report_refused(message.topic, str(refusal), message.seq)
        return refusal

    def _report_refused(self, topic: str, reason: str, seq: int | None = None) -> None:
        log.info("the broker refuses a topic", extra={"topic": topic, "reason": reason, "event": seq})
        if what := self._refusals.first_of(topic, reason, seq):
            self._report(f"the broker at {self._endpoint.address} refuses {what}")

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
        inflight, self._inflight = self._inflight, None
        topic, seq = inflight or ("", None)
        again = topic in self._refusals or (seq is not None and self._attempts[topic, seq] > 1)
        if not self._outage and not again:
            self._outage = True
            self._report(f"the broker at {address} cannot be reached ({error}); trying again, messages are kept")
        self._changed.notify()

    def _report_undelivered(self) -> None:
        """Report what subscribers did not receive."""
        lost = [f"{self._outbox.dropped} messages were dropped"] if self._outbox.dropped else []
        later = "; the next run, or tracker sessions flush, delivers them" if self._outbox.kept else ""
        if self._failed and later:
            lost.append(f"undelivered events are kept{later}")
        elif left := self.waiting:
            silent = "" if self._connections or self._outage else ", as it has not answered yet"
            lost.append(f"{left} could not be delivered{silent}{later}")
        if lost:
            self._report(f"the broker at {self._endpoint.address}: {' and '.join(lost)}")
        if self._refusals.messages:
            kept = self._outbox.kept or not self._refusals.events
            self._report(f"the broker at {self._endpoint.address} refused {self._refusals.summary(kept)}")
