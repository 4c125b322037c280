"""Publishing over MQTT: in order, at least once, and again when the broker is back."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import final

import anyio

from tracker.events import Event
from tracker.sinks.address import Address
from tracker.sinks.backoff import delays_s
from tracker.sinks.connection import BrokerLost, Connect, Link
from tracker.sinks.outbox import Outbox
from tracker.sinks.topics import message_of, status

log = logging.getLogger(__name__)


@final
class Mqtt:
    """Publishes every event on the topics that `tracker.sinks.topics` lists.

    One message is under way at a time: the next is sent when the broker has acknowledged the one before. That keeps
    the order, and after a lost connection it is clear from where to go on; a message whose acknowledgement was lost is
    sent twice, and subscribers tell by ``seq``.

    Args:
        address: Named in what is said to the user.
        connect: Opens a connection to it.
        base: First part of every topic.
        keep_undelivered: Messages kept while the broker is away.
        report: Says one sentence to the user.
        last_words_s: Seconds that the end of the session waits for what is not delivered yet.
        rand: Jitter of the waits between attempts, from 0 up to 1.
        sleep: Waits seconds.
    """

    name = "mqtt"

    def __init__(
        self,
        address: Address,
        connect: Connect,
        base: str,
        keep_undelivered: int,
        report: Callable[[str], None],
        last_words_s: float = 5.0,
        rand: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._address = address
        self._connect = connect
        self._base = base
        self._outbox = Outbox(keep_undelivered)
        self._report = report
        self._last_words_s = last_words_s
        self._rand = rand
        self._sleep = sleep
        self._connected = False
        self._over = anyio.Event()
        self._away = False
        self._changed = anyio.Event()

    def state(self) -> str:
        """What the connection is doing, in a few words."""
        kept = f", {len(self._outbox)} kept" if len(self._outbox) else ""
        if self._connected:
            return f"connected{kept}"
        return f"away, trying again{kept}" if self._away else "connecting"

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Publish every event; at the end give the broker a last chance, then say what was not delivered."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._stay_connected, name="mqtt connection")
            async for event in events:
                while self._outbox.full and self._connected:
                    await self._changed.wait()
                self._outbox.put(message_of(self._base, event))
                self._notify()
            self._over.set()
            self._notify()
            group.cancel_scope.deadline = anyio.current_time() + self._last_words_s
        self._sum_up()

    async def _stay_connected(self) -> None:
        """Deliver until the session is over and everything is out."""
        delays = delays_s(self._rand)
        while True:
            try:
                async with self._connect(status(self._base, online=False)) as link:
                    await link.publish(status(self._base, online=True))
                    self._came()
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

        async def sleep() -> None:
            await self._sleep(seconds)
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(sleep, name="mqtt pause")
            await self._over.wait()
            group.cancel_scope.cancel()
        return self._over.is_set()

    async def _deliver_while_connected(self, link: Link) -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(link.lost, name="mqtt watch")
                await self._deliver(link)
                group.cancel_scope.cancel()
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _deliver(self, link: Link) -> None:
        while True:
            while message := self._outbox.head:
                await link.publish(message)
                self._outbox.acknowledge(message)
                self._notify()
            if self._over.is_set():
                return
            await self._changed.wait()

    def _came(self) -> None:
        self._connected = True
        if self._away:
            self._away = False
            self._report(f"the broker at {self._address} is back; {len(self._outbox)} kept messages follow")

    def _went(self, lost: BrokerLost) -> None:
        self._connected = False
        log.info("no connection to the broker", extra={"broker": str(self._address), "reason": str(lost)})
        if not self._away:
            self._away = True
            self._report(f"the broker at {self._address} cannot be reached ({lost}); trying again, messages are kept")
        self._notify()

    def _sum_up(self) -> None:
        """Say what subscribers have not got."""
        lost = [f"{self._outbox.dropped} messages were dropped"] if self._outbox.dropped else []
        if len(self._outbox):
            lost.append(f"{len(self._outbox)} could not be delivered")
        if lost:
            self._report(f"the broker at {self._address}: {' and '.join(lost)}")

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
