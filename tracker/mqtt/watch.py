"""Sessions elsewhere, watched through a broker. Publishes nothing."""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import aiomqtt
import anyio

from tracker.dashboard.screen import KeyRequest, SwitchSession
from tracker.dashboard.terminal import Terminal
from tracker.events import Event, from_json
from tracker.metrics.gauges import Status
from tracker.mqtt.address import Address
from tracker.mqtt.aiomqtt_private import Client
from tracker.mqtt.backoff import delays_s
from tracker.mqtt.client import SILENT_LOG, disconnect, subscribe
from tracker.mqtt.credentials import ANONYMOUS, Login
from tracker.mqtt.remote import RemoteSessions
from tracker.runtime.control import Stop
from tracker.sinks.text import printable

_TIMEOUT_S = 5.0


class RemoteDashboard:
    """Shows everything below a base topic, through any number of lost connections.

    Args:
        address: The broker.
        base: First part of every topic.
        terminal: Shows it.
        login: User and password.
        tls: For encrypted connections.
        sleep: Waits seconds.
    """

    def __init__(
        self,
        address: Address,
        base: str,
        terminal: Terminal,
        login: Login = ANONYMOUS,
        tls: ssl.SSLContext | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._address = address
        self._base = base
        self._terminal = terminal
        self._login = login
        self._tls = tls
        self._sleep = sleep
        self._sessions = RemoteSessions()
        self._broker = "connecting"
        self._trackers: dict[str, bytes] = {}  # the latest status of each
        self._stopped = anyio.Event()

    def status(self) -> Status:
        """The machine's status: from here, only the connection is known."""
        return Status(broker=self._broker)

    def request(self, request: KeyRequest) -> None:
        """Switch to another session, or stop; other requests have no effect."""
        match request:
            case Stop():
                self._stopped.set()
            case SwitchSession(steps):
                self._sessions.switch(steps)
                self._show()

    async def run(self, stop: anyio.Event) -> None:
        """Watch until stopped by a key or from outside."""
        async with anyio.create_task_group() as group:

            async def pass_on() -> None:
                await stop.wait()
                self._stopped.set()

            group.start_soon(pass_on, name="stop")

            async def show() -> None:
                await self._terminal.run(self._events())
                self._stopped.set()  # nobody looks any more

            group.start_soon(show, name="terminal")
            await self._stopped.wait()
            group.cancel_scope.cancel()  # the conversation stays on the screen

    async def _events(self) -> AsyncIterator[Event]:
        """New events as they come; without a terminal, each is printed as a line."""
        delays = delays_s(random.random)
        while True:
            try:
                client = self._client()
                try:
                    await client.__aenter__()
                    refused = await subscribe(client, [f"{self._base}/#"])
                    if refused and not self._broker.startswith("refused"):
                        reason = refused[f"{self._base}/#"]
                        self._terminal.say(f"the broker at {self._address} refuses {self._base}/# ({reason})")
                    if self._broker.startswith("away"):
                        self._terminal.say(f"the broker at {self._address} is back")
                    self._broker = "refused" if refused else "connected"
                    async for message in client.messages:
                        delays = delays_s(random.random)  # not sooner: it may be a message that ends the connection
                        if event := self._take(str(message.topic), bytes(message.payload or b"")):
                            yield event
                finally:
                    await disconnect(client)
            except aiomqtt.MqttError as error:
                reason = str(error).strip().partition("\n")[0]
                if not self._broker.startswith("away"):
                    self._terminal.say(f"the broker at {self._address} cannot be reached ({reason}); trying again")
                self._broker = "away, trying again"
            await self._sleep(next(delays))

    def _take(self, topic: str, payload: bytes) -> Event | None:
        """The event in a message, if it is a new one; the dashboard shows it at once."""
        if topic.endswith("/status") and payload in (b"online", b"offline"):
            if self._trackers.get(topic, b"online") != payload:
                self._terminal.say(f"tracker {payload.decode()} ({printable(topic.removesuffix('/status'))})")
            self._trackers[topic] = payload
        if not self._sessions.take(topic, payload):
            return None
        self._show()
        try:
            return from_json(payload)
        except ValueError:
            return None

    def _show(self) -> None:
        self._terminal.show_view(self._sessions.view, self._sessions.position, self._sessions.notice)

    def _client(self) -> aiomqtt.Client:
        return Client(
            self._address.host,
            self._address.port,
            username=self._login.username,
            password=self._login.password,
            timeout=_TIMEOUT_S,
            keepalive=20,
            tls_context=self._tls,
            logger=SILENT_LOG,
        )
