"""A broker of our own, so that publishing works where there is no other: loopback only, gone with the session."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from amqtt.broker import Broker
from amqtt.errors import BrokerError

from tracker.errors import SinkError
from tracker.sinks.address import Address

_HOST = "127.0.0.1"


@asynccontextmanager
async def embedded_broker(port: int) -> AsyncIterator[Address]:
    """Run a broker on 127.0.0.1 that anybody on this machine may use; it speaks MQTT 3.1.1, and not 5.

    Args:
        port: TCP port; 0 takes any free one.

    Raises:
        SinkError: It cannot listen there.
    """
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    port = port or _free_port()
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{_HOST}:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    try:
        await broker.start()
    except BrokerError as error:
        raise SinkError(
            f"port {port} is not to be had for the own broker: set mqtt.port = 0 to take any free one, "
            f"or mqtt.url = 'mqtt://localhost:{port}' to use the broker that is there"
        ) from error
    try:
        yield Address(_HOST, port)
    finally:
        await broker.shutdown()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def port_or_any(port: int) -> int:
    """The port if it can be listened on, else 0: any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return 0
    return port
