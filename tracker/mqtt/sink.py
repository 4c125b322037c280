"""Publishing over MQTT: in order, at least once, and again when the broker is back."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from typing import Protocol, final

import anyio
import anyio.lowlevel

from tracker.events import Event, TurnEnded, TurnPartial, TurnSkipped
from tracker.metrics.vitals import Vitals
from tracker.mqtt.address import Address
from tracker.mqtt.backlog import Backlog
from tracker.mqtt.backoff import delays_s
from tracker.mqtt.connection import BrokerLost, Connect, Heard, Link
from tracker.mqtt.messages import metrics, partial
from tracker.mqtt.outbox import Waiting
from tracker.mqtt.payloads import Counters
from tracker.mqtt.topics import Message, Topics, status
from tracker.runtime.broadcast import Broadcast

log = logging.getLogger(__name__)
_GRACE_S = 3.0


class Listener(Protocol):
    """Somebody who takes messages from the broker.

    Attributes:
        topics: Which ones.
    """

    topics: tuple[str, ...]

    def heard(self, heard: Heard) -> list[Message]:
        """Take a message, which may be somebody else's; returns what to answer."""


@final
class Mqtt:
    """Publishes every event on the topics that `tracker.mqtt.topics` lists.

    One message is under way at a time: the next is sent when the broker has acknowledged the one before. That keeps
    the order, and after a lost connection it is clear from where to go on; a message whose acknowledgement was lost is
    sent twice, and subscribers tell by ``seq``. What is retained is sent again after each lost connection: a broker
    that was restarted may have forgotten it.

    Args:
        address: Named in what is said to the user.
        connect: Opens a connection to it.
        topics: Where the tracker's status and metrics go.
        outbox: Where events wait.
        report: Says one sentence to the user.
        earlier: What earlier runs have left; delivered first, the oldest first.
        listeners: Take messages from the broker.
        ready: Awaited before the first event goes out on a connection; three seconds at most once the session is over.
        last_words_s: Seconds that the end of the session waits for what is not delivered yet.
        vitals: How the session goes in numbers.
        rand: Jitter of the waits between attempts, from 0 up to 1.
        sleep: Waits seconds.
    """

    name = "mqtt"

    def __init__(
        self,
        address: Address,
        connect: Connect,
        topics: Topics,
        outbox: Waiting,
        report: Callable[[str], None],
        *,
        earlier: Sequence[Backlog] = (),
        listeners: Sequence[Listener] = (),
        text: bool = True,
        ready: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint,
        last_words_s: float = 5.0,
        vitals: Callable[[], Vitals] = Vitals,
        rand: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._address = address
        self._connect = connect
        self._topics = topics
        self._outbox = outbox
        self._report = report
        self._earlier = [*earlier]
        self._listeners = listeners
        self._text = text
        self._partial: TurnPartial | None = None  # the latest, not yet shown
        self._ready = ready
        self._last_words_s = last_words_s
        self._vitals = vitals
        self._rand = rand
        self._sleep = sleep
        self._session = ""
        self._turns = self._delivered = self._late = self._connections = 0
        self._connected = False
        self._standing: dict[str, Message] = {}
        self._over = anyio.Event()
        self._away = False
        self._changed = Broadcast()

    @property
    def counters(self) -> Counters:
        """How the publishing goes, as of now."""
        backlogs: list[Waiting] = [*self._earlier, self._outbox]
        return Counters(
            session=self._session,
            turns=self._turns,
            delivered=self._delivered,
            late=self._late,
            waiting=sum(map(len, backlogs)),
            dropped=sum(backlog.dropped for backlog in backlogs),
            reconnects=max(0, self._connections - 1),
            connected=self._connected,
        )

    def state(self) -> str:
        """What the connection is doing, in a few words."""
        kept = f", {waiting} kept" if (waiting := self.counters.waiting) else ""
        if self._connected:
            return f"connected{kept}"
        return f"away, trying again{kept}" if self._away else "connecting"

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Publish every event; at the end give the broker a last chance, then say what was not delivered."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._stay_connected, name="mqtt connection")
                async for event in events:
                    if isinstance(event, TurnPartial):
                        self._partial = event
                        self._changed.notify()
                        continue
                    if isinstance(event, TurnEnded | TurnSkipped):
                        self._partial = None  # whatever it was about: the newest is known
                    while self._outbox.full and self._connected:
                        await self._changed.wait()
                    self._session = event.session
                    self._turns += isinstance(event, TurnEnded)
                    self._outbox.put(event, self._away)
                    self._changed.notify()
                self._over.set()
                self._changed.notify()
                group.cancel_scope.deadline = anyio.current_time() + self._last_words_s
        finally:
            self._sum_up()
            self._outbox.close(over=self._over.is_set())
            for backlog in self._earlier:
                backlog.close(over=True)

    async def _stay_connected(self) -> None:
        """Deliver until the session is over and everything is out."""
        delays = delays_s(self._rand)
        while True:
            try:
                async with self._connect(status(self._topics, online=False)) as link:
                    await link.publish(status(self._topics, online=True))
                    self._came()
                    for message in [*self._standing.values()]:
                        await link.publish(message)
                    delays = delays_s(self._rand)
                    await self._deliver_while_connected(link)
                    return
            except BrokerLost as lost:
                self._went(lost)
            if await self._pause(next(delays)):
                delays = delays_s(self._rand)

    async def _pause(self, seconds: float) -> bool:
        """Wait before the next attempt; True where the session's end has cut the waiting short."""
        if self._over.is_set():
            await self._sleep(seconds)
            return False
        await self._unless_over(lambda: self._sleep(seconds))
        return self._over.is_set()

    async def _unless_over(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Wait for something, or for the session's end."""

        async def first() -> None:
            await wait()
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(first, name="mqtt wait")
            await self._over.wait()
            group.cancel_scope.cancel()

    async def _deliver_while_connected(self, link: Link) -> None:
        async def hear(heard: Heard) -> None:
            for listener in self._listeners:
                for answer in listener.heard(heard):
                    await link.publish(answer)

        wanted = [topic for listener in self._listeners for topic in listener.topics]
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(link.listen, wanted, hear, name="mqtt listen")
                await self._unless_over(self._ready)
                if self._over.is_set():
                    with anyio.move_on_after(_GRACE_S):
                        await self._ready()
                await self._deliver_earlier(link)
                await self._deliver(link)
                group.cancel_scope.cancel()
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _deliver_earlier(self, link: Link) -> None:
        while self._earlier:
            backlog = self._earlier[0]
            begun = self._late
            while message := backlog.head:
                await self._hand_over(link, backlog, message)
                self._late += 1
            del self._earlier[0]
            backlog.close(over=True)
            if count := self._late - begun:
                self._report(f"{count} events of an earlier run were delivered to {self._address}")

    async def _deliver(self, link: Link) -> None:
        while True:
            while message := self._outbox.head:
                await self._hand_over(link, self._outbox, message)
                self._changed.notify()
            if self._partial:
                shown, self._partial = partial(self._topics, self._partial, self._text), None
                await link.publish(shown)
            await link.publish(metrics(self._topics, self.counters, self._vitals()))
            if self._outbox.head:
                continue
            if self._over.is_set():
                return
            await self._changed.wait()

    async def _hand_over(self, link: Link, backlog: Waiting, message: Message) -> None:
        await link.publish(message)
        backlog.acknowledge(message)
        self._delivered += 1
        if message.retain and message.expiry_s is None:
            self._standing.pop(message.topic, None)
            if message.payload:
                self._standing[message.topic] = message

    def _came(self) -> None:
        self._connected = True
        self._connections += 1
        if self._away:
            self._away = False
            self._report(f"the broker at {self._address} is back; {len(self._outbox)} kept messages follow")

    def _went(self, lost: BrokerLost) -> None:
        self._connected = False
        log.info("no connection to the broker", extra={"broker": str(self._address), "reason": str(lost)})
        if not self._away:
            self._away = True
            self._report(f"the broker at {self._address} cannot be reached ({lost}); trying again, messages are kept")
        self._changed.notify()

    def _sum_up(self) -> None:
        """Say what subscribers have not got."""
        lost = [f"{self._outbox.dropped} messages were dropped"] if self._outbox.dropped else []
        left = len(self._outbox) + sum(map(len, self._earlier))
        if left:
            later = "; the next run, or tracker sessions flush, delivers them" if self._outbox.kept else ""
            silent = "" if self._connections or self._away else ", as it has not answered yet"
            lost.append(f"{left} could not be delivered{silent}{later}")
        if lost:
            self._report(f"the broker at {self._address}: {' and '.join(lost)}")
