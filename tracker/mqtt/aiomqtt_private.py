"""What the tracker uses of aiomqtt and paho that they do not promise to keep; no other file does.

So the version of aiomqtt is pinned, and ``tests/tracker/mqtt/test_aiomqtt_private.py`` fails if any of it is gone.
"""

from __future__ import annotations

from typing import Any

import aiomqtt
import paho.mqtt.client as paho

NO_ANSWER = "Operation timed out"
"""aiomqtt's words for it."""

CLOSED = "Unspecified error"
"""paho's words for a broker that closed the connection."""


class Client(aiomqtt.Client):
    """aiomqtt's client, except that it does not wait to write on a socket that closed a moment ago.

    aiomqtt 2.5 notes only the socket's number, which by then is nobody's or somebody else's.
    """

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
