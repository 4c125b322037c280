"""Debian's mosquitto on a loopback port, started, stopped and listened to from tests."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.abc
import pytest

from tracker.mqtt.address import Address


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until_open(port: int) -> None:
    """Wait until something listens on a port; a process of ours may be long about it where the machine is busy."""
    with anyio.fail_after(120):
        while True:
            try:
                await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
            except OSError:
                await anyio.sleep(0.02)
            else:
                return


def needed(program: str) -> str:
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"no {program}: install Debian's mosquitto and mosquitto-clients")
    return path


@dataclass
class Mosquitto:
    """A broker that keeps its sessions and retained messages on disk, so that it can be restarted.

    Attributes:
        folder: For its files.
        port: Where it listens.
        settings: More lines of its configuration.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    settings: str = "allow_anonymous true"

    def __post_init__(self) -> None:
        self.address = Address("127.0.0.1", self.port)
        self._program = needed("mosquitto")
        self._process: subprocess.Popen[bytes] | None = None
        self.conf = self.folder / "mosquitto.conf"
        self.conf.write_text(
            f"listener {self.port} 127.0.0.1\npersistence true\npersistence_location {self.folder}/\n"
            f"autosave_interval 1\nautosave_on_changes true\nuser root\n{self.settings}\n"
        )

    async def start(self) -> None:
        log = (self.folder / "mosquitto.log").open("ab")
        with log:
            self._process = subprocess.Popen([self._program, "-v", "-c", str(self.conf)], stdout=log, stderr=log)
        await until_open(self.port)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def log(self) -> str:
        return (self.folder / "mosquitto.log").read_text()


class Subscriber:
    """mosquitto_sub, and the lines that it has printed: topic, retained flag, payload."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self._process = process
        self._rest = b""
        self.lines: list[tuple[str, bool, str]] = []

    async def next(self) -> tuple[str, bool, str]:
        """The next message."""
        assert self._process.stdout
        while b"\n" not in self._rest:
            self._rest += await self._process.stdout.receive()
        line, _, self._rest = self._rest.partition(b"\n")
        topic, retained, payload = line.decode().split(" ", 2)
        self.lines.append((topic, retained == "1", payload))
        return self.lines[-1]

    async def until(self, text: str) -> None:
        """Read up to a message that contains a text."""
        while text not in (await self.next())[2]:
            pass


@asynccontextmanager
async def subscribed(address: Address, topic: str, *options: str) -> AsyncIterator[Subscriber]:
    """Listen with Debian's own client; ready once a message of our own has come through."""
    common = ["-h", address.host, "-p", str(address.port)]
    command = [needed("mosquitto_sub"), *common, "-q", "1", "-t", topic, "-t", "ready", "-F", "%t %r %p", *options]
    async with await anyio.open_process(command, stdin=subprocess.DEVNULL, stderr=None) as process:
        subscriber = Subscriber(process)
        try:
            ready = [needed("mosquitto_pub"), *common, "-q", "1", "-r", "-t", "ready", "-m", "ready"]
            await anyio.run_process(ready, stderr=None)
            await subscriber.until("ready")
            subscriber.lines.clear()
            yield subscriber
        finally:
            process.terminate()
            with anyio.CancelScope(shield=True):
                await process.wait()
