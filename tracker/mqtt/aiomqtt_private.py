"""What the tracker uses of aiomqtt and paho that they do not promise to keep; no other file does.

So the version of aiomqtt is pinned, and ``tests/tracker/mqtt/test_aiomqtt_private.py`` fails if any of it is gone.
"""

from __future__ import annotations

from typing import Any

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

NO_ANSWER = "Operation timed out"
"""aiomqtt's words for it."""

CLOSED = "Unspecified error"
"""paho's words for a broker that closed the connection."""


PACKET_TOO_LARGE = 149
ReasonCode.names[PACKET_TOO_LARGE]["Packet too large"].append(PacketTypes.PUBACK)  # mosquitto 2.0 answers with it


class Client(aiomqtt.Client):
    """aiomqtt's client, with what it leaves out.

    It keeps the broker's packet limit and the answer to the latest message, passes over messages whose topic is not
    UTF-8, and does not wait to write on a socket that closed a moment ago: aiomqtt 2.5 notes only the socket's number,
    which by then is nobody's or somebody else's.

    Attributes:
        maximum_packet_bytes: The largest packet that the broker accepts (MQTT 5), or None.
        answer: The broker's answer to the latest published message.
    """

    maximum_packet_bytes: int | None = None
    answer: ReasonCode | None = None

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        self.maximum_packet_bytes = getattr(properties, "MaximumPacketSize", None)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self, client: paho.Client, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        self.answer = reason_code
        super()._on_publish(client, userdata, mid, reason_code, properties)

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        try:
            super()._on_message(client, userdata, message)
        except ValueError:  # the topic is no topic: whatever it is, it is not meant for us
            self._logger.debug("a message on a malformed topic is passed over")

    def _on_socket_register_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:  # noqa: ARG002
        def write() -> None:
            try:
                client.loop_write()
            except Exception as error:  # whatever it is, the connection is over
                if not self._disconnected.done():
                    self._disconnected.set_exception(error)

        def register() -> None:
            if sock.fileno() >= 0:
                self._loop.add_writer(sock.fileno(), write)

        self._loop.call_soon_threadsafe(register)
