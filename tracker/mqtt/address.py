"""The broker's address from its URL, and whether transcripts may be sent there."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from tracker.errors import SinkError

_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a broker.

    Attributes:
        host: Name or IP address.
        port: TCP port.
        tls: Whether the connection is encrypted.
    """

    host: str
    port: int
    tls: bool = False

    @property
    def loopback(self) -> bool:
        """Whether the broker is on this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def parse_url(url: str) -> Address:
    """The broker that ``mqtt://host[:port]`` or ``mqtts://host[:port]`` names.

    Raises:
        SinkError: It names no broker, or holds more than that; the message never repeats a password.
    """
    expected = "expected mqtt://host[:port] or mqtts://host[:port]"
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise SinkError(f"the broker's URL is malformed; {expected}, with a port from 1 to 65535") from None
    if "@" in url:
        raise SinkError(
            "a broker's URL must not carry a user or password; "
            "set TRACKER_MQTT_USERNAME and TRACKER_MQTT_PASSWORD in the environment"
        )
    if parts.scheme not in _PORTS or not host:
        raise SinkError(f"{url!r} names no broker; {expected}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise SinkError(f"{url!r} has something after the port; {expected}")
    if port == 0:
        raise SinkError(f"{url!r}: no broker listens on port 0; {expected}")
    return Address(host, port or _PORTS[parts.scheme], tls=parts.scheme == "mqtts")


def refuse_plain(address: Address, allow_plain: bool) -> None:
    """Make sure that nobody on the way can read transcripts.

    Raises:
        SinkError: The connection leaves this machine unencrypted, and that is not allowed.
    """
    if not (address.tls or address.loopback or allow_plain):
        raise SinkError(
            f"{address} is not encrypted, and transcripts could be read on the way; "
            f"use mqtts://{address.host}, or set mqtt.allow_plain = true"
        )
