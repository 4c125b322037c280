"""Connections to the embedded broker: each must say CONNECT soon, and their number is bounded; needs the extra `mqtt`.

amqtt's own listener waits for ever, so that idle connections of any program would use up the process's files.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker

CONNECT_S = 5.0
MOST_CLIENTS = 200
MOST_WAITING = 50
"""Connections that have not said CONNECT; one more, and the oldest is closed."""

_NAME = "default"
_CONNECT, _MOST_CONNECT_BYTES = 1, 1 << 18

LISTENERS = {_NAME: {"type": "external", "bind": "127.0.0.1:0"}}
"""For the broker's configuration; amqtt itself binds nothing."""


@asynccontextmanager
async def listen(broker: Broker, host: str, port: int) -> AsyncIterator[int]:
    """Accept connections meanwhile.

    Args:
        broker: Started, with `LISTENERS`.
        host: The address to listen on.
        port: TCP port; 0: any free one.

    Yields:
        The port.

    Raises:
        OSError: The port is taken.
    """
    waiting: dict[asyncio.StreamWriter, None] = {}
    clients: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting[writer] = None
        if len(waiting) > MOST_WAITING:
            oldest = next(iter(waiting))
            del waiting[oldest]
            oldest.transport.abort()
        try:
            async with asyncio.timeout(CONNECT_S):
                first = await _connect_packet(reader)
        except (OSError, EOFError, ValueError):  # TimeoutError is an OSError
            first = b""
        finally:
            waiting.pop(writer, None)
        task = asyncio.current_task()
        if first and task and len(clients) < MOST_CLIENTS:
            clients[writer] = task
            try:
                await broker.external_connected(_Reader(first, reader), StreamWriterAdapter(writer), _NAME)
            finally:
                del clients[writer]
        writer.transport.abort()

    server = await asyncio.start_server(serve, host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in (*waiting, *clients):
            writer.transport.abort()
        await asyncio.gather(*clients.values(), return_exceptions=True)


class _Reader(StreamReaderAdapter):  # type: ignore[misc]  # amqtt has no types
    """Gives a packet that was read already, then what follows it."""

    def __init__(self, first: bytes, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._first = first

    async def read(self, n: int = -1) -> bytes:
        if not self._first:
            return bytes(await super().read(n))
        part, self._first = (self._first, b"") if n < 0 else (self._first[:n], self._first[n:])
        return part


async def _connect_packet(reader: asyncio.StreamReader) -> bytes:
    """The first packet.

    Raises:
        ValueError: It is no CONNECT, or too large.
        EOFError: The connection ended before it was whole.
    """
    packet = await reader.readexactly(2)
    while packet[-1] & 0x80 and len(packet) < 5:
        packet += await reader.readexactly(1)
    length = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(packet[1:]))
    if packet[0] >> 4 != _CONNECT or length > _MOST_CONNECT_BYTES:
        raise ValueError("not a CONNECT packet")
    return packet + await reader.readexactly(length)
