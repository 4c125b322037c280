"""One connection to a broker: the only file that knows aiomqtt."""

from __future__ import annotations

import logging
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Protocol

import aiomqtt
import anyio
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tracker.sinks.address import Address
from tracker.sinks.topics import Message

log = logging.getLogger(__name__)
_UNHEARD = log.getChild("client")
_UNHEARD.setLevel(logging.CRITICAL)  # what aiomqtt warns of comes to us as an exception, too

_UNSUPPORTED_PROTOCOL = 132
_KEEPALIVE_S = 20
_ANSWER_S = 10.0
_GOODBYE_S = 1.0


class BrokerLost(Exception):
    """The broker cannot be reached, refused us, or went away; the message says why."""


class Link(Protocol):
    """An open connection."""

    async def publish(self, message: Message) -> None:
        """Hand over a message; return when the broker has acknowledged it.

        Raises:
            BrokerLost: It was not acknowledged; the broker may have it all the same.
        """

    async def lost(self) -> None:
        """Wait for as long as the connection lasts.

        Raises:
            BrokerLost: It has gone.
        """


class Connect(Protocol):
    """Opens connections, one at a time."""

    def __call__(self, goodbye: Message) -> AbstractAsyncContextManager[Link]:
        """Connect; on leaving, publish a goodbye where the broker is still there.

        Args:
            goodbye: Also the last will: the broker publishes it when we are lost.

        Raises:
            BrokerLost: The broker cannot be reached or refused us (on entering).
        """


class Connector:
    """Connects to one broker, over MQTT 5 unless that broker turns out to speak only 3.1.1.

    Every connection has the same client id, so that a broker which has not yet noticed that we were cut off replaces
    the old connection instead of declaring us lost later.

    Args:
        address: Where it listens.
        username: Or None.
        password: Or None.
        tls: For encrypted connections; None trusts the system's certificates.
    """

    def __init__(
        self, address: Address, username: str | None, password: str | None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._address = address
        self._username = username
        self._password = password
        self._tls = (tls or ssl.create_default_context()) if address.tls else None
        self._identifier = f"tracker-{secrets.token_hex(6)}"
        self._protocol = aiomqtt.ProtocolVersion.V5

    @asynccontextmanager
    async def __call__(self, goodbye: Message) -> AsyncIterator[Link]:
        """Connect; see `Connect`."""
        try:
            client = self._client(goodbye)
            await client.__aenter__()
        except aiomqtt.MqttError as error:
            if not self._downgraded(error):
                raise BrokerLost(_reason(error)) from error
            client = self._client(goodbye)
            try:
                await client.__aenter__()
            except aiomqtt.MqttError as again:
                raise BrokerLost(_reason(again)) from again
        v5 = self._protocol == aiomqtt.ProtocolVersion.V5
        log.info("connected to the broker", extra={"broker": str(self._address), "mqtt": "5" if v5 else "3.1.1"})
        link = _AiomqttLink(client, v5)
        try:
            yield link
        finally:
            with anyio.CancelScope(shield=True):
                with anyio.move_on_after(_GOODBYE_S), suppress(BrokerLost):
                    await link.publish(goodbye)
                with anyio.move_on_after(_GOODBYE_S), suppress(aiomqtt.MqttError):
                    await client.__aexit__(None, None, None)

    def _client(self, will: Message) -> aiomqtt.Client:
        v5 = self._protocol == aiomqtt.ProtocolVersion.V5
        return aiomqtt.Client(
            self._address.host,
            self._address.port,
            username=self._username,
            password=self._password,
            identifier=self._identifier,
            protocol=self._protocol,
            will=aiomqtt.Will(
                will.topic, will.payload, 1, will.retain, _properties(will, PacketTypes.WILLMESSAGE) if v5 else None
            ),
            timeout=_ANSWER_S,
            keepalive=_KEEPALIVE_S,
            tls_context=self._tls,
            logger=_UNHEARD,
        )

    def _downgraded(self, error: aiomqtt.MqttError) -> bool:
        """Whether the broker refused MQTT 5, and 3.1.1 is tried from now on."""
        code = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
        refused = isinstance(code, ReasonCode) and code.value == _UNSUPPORTED_PROTOCOL
        if not refused or self._protocol == aiomqtt.ProtocolVersion.V311:
            return False
        self._protocol = aiomqtt.ProtocolVersion.V311
        return True


class _AiomqttLink:
    def __init__(self, client: aiomqtt.Client, v5: bool) -> None:
        self._client = client
        self._v5 = v5

    async def publish(self, message: Message) -> None:
        properties = _properties(message, PacketTypes.PUBLISH) if self._v5 else None
        try:
            await self._client.publish(message.topic, message.payload, 1, message.retain, properties)
        except aiomqtt.MqttError as error:
            raise BrokerLost(_reason(error)) from error

    async def lost(self) -> None:
        try:
            async for _ in self._client.messages:
                pass  # nothing is subscribed to; the iteration fails when the connection does
        except aiomqtt.MqttError as error:
            raise BrokerLost(_reason(error.__cause__ or error)) from error


def _properties(message: Message, packet: int) -> Properties:
    properties = Properties(packet)
    properties.ContentType = message.content_type
    properties.PayloadFormatIndicator = 1
    if message.user_properties:
        properties.UserProperty = list(message.user_properties)
    return properties


def _reason(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    return text.partition("] ")[2] or text or type(error).__name__
