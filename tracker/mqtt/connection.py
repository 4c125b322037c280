"""One connection to a broker, by aiomqtt."""

from __future__ import annotations

import logging
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import aiomqtt
import anyio
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tracker.mqtt.address import Address
from tracker.mqtt.aiomqtt_private import CLOSED, NO_ANSWER, Client
from tracker.mqtt.topics import Message

log = logging.getLogger(__name__)
UNHEARD = log.getChild("client")
UNHEARD.setLevel(logging.CRITICAL)  # what aiomqtt warns of comes to us as an exception, too

_UNSUPPORTED_PROTOCOL = 132
_KEEPALIVE_S = 20
_GOODBYE_S = 1.0


class BrokerLost(Exception):
    """The broker cannot be reached, refused us, or went away; the message says why."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A message from the broker.

    Attributes:
        topic: Where it was.
        payload: As it came.
        retained: Whether it was kept by the broker from an earlier time.
        reply_to: Where the sender wants an answer, or None.
        correlation: What the sender tells the answer by, or None.
    """

    topic: str
    payload: bytes
    retained: bool = False
    reply_to: str | None = None
    correlation: bytes | None = None


class Link(Protocol):
    """An open connection."""

    async def publish(self, message: Message) -> None:
        """Hand over a message; return when the broker has acknowledged it.

        Raises:
            BrokerLost: It was not acknowledged; the broker may have it all the same.
        """

    async def listen(self, topics: Sequence[str], hear: Callable[[Heard], Awaitable[None]]) -> None:
        """Take what comes on some topics, for as long as the connection lasts.

        Args:
            topics: May hold wildcards; may be none.
            hear: Is given each message.

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
        mqtt5: Whether to begin with MQTT 5.
        answer_s: Seconds that the broker may take for an answer.
    """

    def __init__(
        self,
        address: Address,
        username: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        mqtt5: bool = True,
        answer_s: float = 5.0,
    ) -> None:
        self._address = address
        self._username = username
        self._password = password
        self._tls = (tls or ssl.create_default_context()) if address.tls else None
        self._identifier = f"tracker-{secrets.token_hex(6)}"
        self._v5 = mqtt5
        self._answer_s = answer_s

    @asynccontextmanager
    async def __call__(self, goodbye: Message) -> AsyncIterator[Link]:
        """Open a connection; see `Connect`."""
        try:
            client = await self._enter(goodbye)
        except aiomqtt.MqttError as error:
            if not self._downgraded(error):
                raise BrokerLost(self._refusal(error)) from error
            try:
                client = await self._enter(goodbye)
            except aiomqtt.MqttError as again:
                raise BrokerLost(self._refusal(again)) from again
        log.info("connected to the broker", extra={"broker": str(self._address), "mqtt": "5" if self._v5 else "3.1.1"})
        link = _AiomqttLink(client, self._v5)
        try:
            yield link
        finally:
            with anyio.CancelScope(shield=True):
                with anyio.move_on_after(_GOODBYE_S), suppress(BrokerLost):
                    await link.publish(goodbye)
                await leave(client)

    async def _enter(self, goodbye: Message) -> aiomqtt.Client:
        client = self._client(goodbye)
        try:
            return await client.__aenter__()
        except aiomqtt.MqttError:
            await leave(client)  # a broker that took the connection and never answered still has it
            raise

    def _client(self, goodbye: Message) -> aiomqtt.Client:
        will_properties = _properties(goodbye, PacketTypes.WILLMESSAGE) if self._v5 else None
        return Client(
            self._address.host,
            self._address.port,
            username=self._username,
            password=self._password,
            identifier=self._identifier,
            protocol=aiomqtt.ProtocolVersion.V5 if self._v5 else aiomqtt.ProtocolVersion.V311,
            will=aiomqtt.Will(goodbye.topic, goodbye.payload, 1, goodbye.retain, will_properties),
            timeout=self._answer_s,
            keepalive=_KEEPALIVE_S,
            tls_context=self._tls,
            logger=UNHEARD,
        )

    def _refusal(self, error: aiomqtt.MqttError) -> str:
        """Why there is no connection; over TLS 1.3, a certificate that is refused looks like no answer."""
        if self._tls and str(error) == NO_ANSWER:
            return "no answer: it may want a client certificate or not trust ours, see mqtt.client_cert"
        return _reason(error)

    def _downgraded(self, error: aiomqtt.MqttError) -> bool:
        """Whether the broker has refused MQTT 5, and 3.1.1 is spoken from now on.

        A broker that gave no answer at all may have choked on MQTT 5, or just be busy: the next attempt, not this one,
        is made in the other protocol.
        """
        code = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
        if isinstance(code, ReasonCode) and code.value == _UNSUPPORTED_PROTOCOL and self._v5:
            self._v5 = False
            return True
        if str(error) == NO_ANSWER:
            self._v5 = not self._v5
        return False


class _AiomqttLink:
    def __init__(self, client: aiomqtt.Client, v5: bool) -> None:
        self._client = client
        self._v5 = v5

    async def publish(self, message: Message) -> None:
        properties = _properties(message, PacketTypes.PUBLISH) if self._v5 else None
        try:
            await self._client.publish(message.topic, message.payload, message.qos, message.retain, properties)
        except aiomqtt.MqttError as error:
            raise BrokerLost(_reason(error)) from error

    async def listen(self, topics: Sequence[str], hear: Callable[[Heard], Awaitable[None]]) -> None:
        try:
            if topics:
                await self._client.subscribe([(topic, 1) for topic in topics])
            async for message in self._client.messages:
                await hear(_heard(message))
        except aiomqtt.MqttError as error:
            raise BrokerLost(_reason(error.__cause__ or error)) from error


def _heard(message: aiomqtt.Message) -> Heard:
    payload = message.payload if isinstance(message.payload, bytes) else str(message.payload).encode()
    told = message.properties
    return Heard(
        topic=message.topic.value,
        payload=payload,
        retained=message.retain,
        reply_to=getattr(told, "ResponseTopic", None),
        correlation=getattr(told, "CorrelationData", None),
    )


async def leave(client: aiomqtt.Client) -> None:
    """Close the connection, if there is one."""
    with anyio.CancelScope(shield=True), anyio.move_on_after(_GOODBYE_S), suppress(aiomqtt.MqttError):
        await client.__aexit__(None, None, None)


def _properties(message: Message, packet: int) -> Properties:
    properties = Properties(packet)
    properties.ContentType = message.content_type
    properties.PayloadFormatIndicator = 1
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = message.expiry_s
    if message.correlation is not None:
        properties.CorrelationData = message.correlation
    if message.user_properties:
        properties.UserProperty = list(message.user_properties)
    return properties


def _reason(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    if text == NO_ANSWER:
        return "no answer"
    if text.endswith(CLOSED):
        return "it closed the connection"
    return text.partition("] ")[2] or text or type(error).__name__
