"""``tracker run tcp://HOST:PORT``: raw PCM (16 bit, 16 kHz, mono) from a TCP server."""

from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio
import numpy as np

from tracker.errors import SourceError
from tracker.sources.media import AudioChunk


class TcpSource:
    name, live, channels, dropped = "tcp", True, 1, 0

    def __init__(self, url, options):
        self._address = urlsplit(url)
        self._stopped = anyio.Event()
        if not self._address.hostname or not self._address.port:
            raise SourceError(f"{url}: name a host and a port, as in tcp://192.0.2.7:5000")

    @asynccontextmanager
    async def open(self):
        try:
            stream = await anyio.connect_tcp(self._address.hostname, self._address.port)
        except OSError as error:
            raise SourceError(f"tcp://{self._address.netloc}: cannot be reached ({error})") from error
        async with stream, anyio.create_task_group() as group:
            group.start_soon(self._close_when_stopped, stream)
            yield self._chunks(stream)
            group.cancel_scope.cancel()

    def stop(self):
        self._stopped.set()

    async def _close_when_stopped(self, stream):
        await self._stopped.wait()
        await stream.aclose()

    async def _chunks(self, stream):
        start, data = 0, b""
        try:
            while data := data + await stream.receive():
                whole = len(data) // 2 * 2
                yield AudioChunk(0, start, np.frombuffer(data[:whole], "<i2").astype(np.float32) / 32768)
                start, data = start + whole // 2, data[whole:]
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            return
