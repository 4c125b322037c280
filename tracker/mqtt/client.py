"""Connections to a broker, by aiomqtt; needs the extra ``mqtt``."""

from __future__ import annotations

import logging
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import aiomqtt
import anyio
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tracker.mqtt.address import Address
from tracker.mqtt.aiomqtt_private import CLOSED, NO_ANSWER, Client
from tracker.mqtt.connection import Connection, ConnectionLost, IncomingMessage, MessageRefused
from tracker.mqtt.credentials import ANONYMOUS, Login
from tracker.mqtt.topics import Message

log = logging.getLogger(__name__)
SILENT_LOG = log.getChild("client")
SILENT_LOG.setLevel(logging.CRITICAL)  # whatever aiomqtt warns about also reaches us as an exception

_UNSUPPORTED_PROTOCOL = 132
_NOT_AUTHORIZED, _TOPIC_INVALID = 135, 144
_KEEPALIVE_S = 20
_LEAVE_S = 1.0


class Connector:
    """Connects to one broker with MQTT 5, or with 3.1.1 if the broker turns out not to speak 5.

    Every connection has the same client id, so that a broker that has not yet noticed a lost connection replaces it
    instead of publishing the will later.

    Args:
        address: Where the broker listens.
        login: User and password.
        tls: For encrypted connections; None trusts the system's certificates.
        mqtt5: Whether to begin with MQTT 5.
        timeout_s: Seconds that the broker may take to answer.
    """

    def __init__(
        self,
        address: Address,
        login: Login = ANONYMOUS,
        tls: ssl.SSLContext | None = None,
        mqtt5: bool = True,
        timeout_s: float = 5.0,
    ) -> None:
        self._address = address
        self._login = login
        self._tls = (tls or ssl.create_default_context()) if address.tls else None
        self._identifier = f"tracker-{secrets.token_hex(6)}"
        self._v5 = mqtt5
        self._timeout_s = timeout_s

    @asynccontextmanager
    async def __call__(self, will: Message | None) -> AsyncIterator[Connection]:
        """Open a connection; see `Connect`."""
        try:
            client = await self._enter(will)
        except aiomqtt.MqttError as error:
            if not self._downgraded(error):
                raise ConnectionLost(self._refusal(error)) from error
            try:
                client = await self._enter(will)
            except aiomqtt.MqttError as again:
                raise ConnectionLost(self._refusal(again)) from again
        log.info("connected to the broker", extra={"broker": str(self._address), "mqtt": "5" if self._v5 else "3.1.1"})
        connection = _AiomqttConnection(client, self._v5)
        try:
            yield connection
        finally:
            with anyio.CancelScope(shield=True):
                with anyio.move_on_after(_LEAVE_S), suppress(ConnectionLost, MessageRefused):
                    if will:
                        await connection.publish(will)
                await disconnect(client)

    async def _enter(self, will: Message | None) -> Client:
        client = self._client(will)
        try:
            await client.__aenter__()
            return client
        except aiomqtt.MqttError:
            await disconnect(client)  # a broker that accepted the connection and never answered still has it
            raise

    def _client(self, will: Message | None) -> Client:
        return Client(
            self._address.host,
            self._address.port,
            username=self._login.username,
            password=self._login.password,
            identifier=self._identifier,
            protocol=aiomqtt.ProtocolVersion.V5 if self._v5 else aiomqtt.ProtocolVersion.V311,
            will=self._will(will) if will else None,
            timeout=self._timeout_s,
            keepalive=_KEEPALIVE_S,
            tls_context=self._tls,
            logger=SILENT_LOG,
        )

    def _will(self, will: Message) -> aiomqtt.Will:
        properties = message_properties(will, PacketTypes.WILLMESSAGE) if self._v5 else None
        return aiomqtt.Will(will.topic, will.payload, 1, will.retain, properties)

    def _refusal(self, error: aiomqtt.MqttError) -> str:
        """Why there is no connection; over TLS 1.3, a refused certificate looks like no answer."""
        if self._tls and str(error) == NO_ANSWER:
            return "no answer: it may want a client certificate or not trust ours, see mqtt.client_cert"
        return _reason(error)

    def _downgraded(self, error: aiomqtt.MqttError) -> bool:
        """Whether the broker has refused MQTT 5, so that 3.1.1 is used from now on.

        A broker that did not answer at all may have choked on MQTT 5, or may just be busy: then the next attempt uses
        the other protocol, not this one.
        """
        code = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
        if isinstance(code, ReasonCode) and code.value == _UNSUPPORTED_PROTOCOL and self._v5:
            self._v5 = False
            return True
        if str(error) == NO_ANSWER:
            self._v5 = not self._v5
        return False


class _AiomqttConnection:
    def __init__(self, client: Client, v5: bool) -> None:
        self._client = client
        self._v5 = v5
        self._publishing = anyio.Lock()  # one at a time, so that the answer is to the message

    async def publish(self, message: Message) -> None:
        properties = message_properties(message, PacketTypes.PUBLISH) if self._v5 else None
        limit = self._client.maximum_packet_bytes
        async with self._publishing:
            try:
                if limit and (size := packet_bytes(message, properties)) > limit:
                    raise MessageRefused(f"a packet of {size} bytes, and it accepts {limit}")
                await self._client.publish(message.topic, message.payload, message.qos, message.retain, properties)
            except aiomqtt.MqttError as error:
                raise ConnectionLost(_reason(error)) from error
            except ValueError as error:
                raise MessageRefused(str(error).rstrip(".")) from error
            if (answer := self._client.answer) and answer.is_failure:
                raise MessageRefused(str(answer), answer.value in (_NOT_AUTHORIZED, _TOPIC_INVALID))

    async def subscribe(self, filters: Sequence[str]) -> dict[str, str]:
        try:
            return await subscribe(self._client, filters)
        except aiomqtt.MqttError as error:
            raise ConnectionLost(_reason(error)) from error

    async def receive(self, on_message: Callable[[IncomingMessage], Awaitable[None]]) -> None:
        try:
            async for message in self._client.messages:
                await on_message(_incoming(message))
        except aiomqtt.MqttError as error:
            raise ConnectionLost(_reason(error.__cause__ or error)) from error


def _incoming(message: aiomqtt.Message) -> IncomingMessage:
    payload = message.payload if isinstance(message.payload, bytes) else str(message.payload).encode()
    return IncomingMessage(
        topic=message.topic.value,
        payload=payload,
        retained=message.retain,
        response_topic=getattr(message.properties, "ResponseTopic", None),
        correlation_data=getattr(message.properties, "CorrelationData", None),
    )


async def disconnect(client: aiomqtt.Client) -> None:
    """Close the connection, if there is one."""
    with anyio.CancelScope(shield=True), anyio.move_on_after(_LEAVE_S), suppress(aiomqtt.MqttError):
        await client.__aexit__(None, None, None)


async def subscribe(client: aiomqtt.Client, filters: Sequence[str]) -> dict[str, str]:
    """Subscribe to topics; see `Connection`."""
    answers = await client.subscribe([(topic, 1) for topic in filters]) if filters else ()
    both = zip(filters, answers, strict=False)
    return {topic: str(answer) for topic, answer in both if isinstance(answer, ReasonCode) and answer.is_failure}


def packet_bytes(message: Message, properties: Properties | None) -> int:
    """The size of the packet that publishes a message.

    Args:
        message: The message.
        properties: Those that go with it; None: MQTT 3.1.1.
    """
    rest = 2 + len(message.topic.encode()) + (2 if message.qos else 0) + len(message.payload.encode())
    rest += len(properties.pack()) if properties else 0
    length_bytes = next(count for count in range(1, 5) if rest < 128**count or count == 4)
    return 1 + length_bytes + rest


def message_properties(message: Message, packet: int) -> Properties:
    """What MQTT 5 carries beside a message."""
    properties = Properties(packet)
    properties.ContentType = message.content_type
    properties.PayloadFormatIndicator = 1
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = message.expiry_s
    if message.correlation_data is not None:
        properties.CorrelationData = message.correlation_data
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
