"""Whoever connects to our own broker: soon with CONNECT, or not for long."""

from contextlib import AsyncExitStack

import anyio
import pytest

from tracker.mqtt import listener
from tracker.mqtt.broker import embedded_broker

pytestmark = [pytest.mark.anyio, pytest.mark.broker]


def connect(name: str) -> bytes:
    body = b"\0\x04MQTT\x04\x02\0\x3c" + len(name).to_bytes(2, "big") + name.encode()
    return bytes([0x10, len(body)]) + body


ACCEPTED = b"\x20\x02\0\0"


async def ended(stream: anyio.abc.SocketStream) -> bool:
    """Whether the broker has closed a connection; waits for what it says."""
    try:
        await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return True
    return False


async def test_who_never_says_connect_is_let_go(monkeypatch):
    monkeypatch.setattr(listener, "CONNECT_S", 0.1)
    with anyio.fail_after(20):
        async with embedded_broker(0) as own, await anyio.connect_tcp("127.0.0.1", own.address.port) as stream:
            assert await ended(stream)


@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\n\r\n", b"\x30\x05\0\x01xhi", b"\x10\xff\xff\xff\x7f", b"\x10\xff\xff\xff\xff\xff"]
)
async def test_who_says_something_else_is_let_go_at_once(first):
    with anyio.fail_after(20):
        async with embedded_broker(0) as own, await anyio.connect_tcp("127.0.0.1", own.address.port) as stream:
            await stream.send(first)
            assert await ended(stream)


async def test_a_flood_of_the_silent_holds_up_nobody(monkeypatch):
    monkeypatch.setattr(listener, "CONNECT_S", 3600.0)
    with anyio.fail_after(60):
        async with embedded_broker(0) as own, AsyncExitStack() as open_ones:
            silent = [
                await open_ones.enter_async_context(await anyio.connect_tcp("127.0.0.1", own.address.port))
                for _ in range(listener.MOST_WAITING + 20)
            ]
            client = await open_ones.enter_async_context(await anyio.connect_tcp("127.0.0.1", own.address.port))
            await client.send(connect("me"))
            assert await client.receive() == ACCEPTED
            for one in silent[:20]:
                assert await ended(one)


async def test_there_is_room_for_so_many_clients(monkeypatch):
    monkeypatch.setattr(listener, "MOST_CLIENTS", 2)
    with anyio.fail_after(20):
        async with embedded_broker(0) as own, AsyncExitStack() as open_ones:
            answers = []
            for name in ("a", "b", "c"):
                one = await open_ones.enter_async_context(await anyio.connect_tcp("127.0.0.1", own.address.port))
                await one.send(connect(name))
                answers.append(await ended(one))
    assert answers == [False, False, True]


async def test_connect_may_come_in_any_pieces_and_with_what_follows_it():
    with anyio.fail_after(20):
        async with embedded_broker(0) as own, await anyio.connect_tcp("127.0.0.1", own.address.port) as stream:
            for byte in connect("me")[:-1]:
                await stream.send(bytes([byte]))
                await anyio.wait_all_tasks_blocked()
            await stream.send(connect("me")[-1:] + b"\xc0\0")  # and a ping
            answers = b""
            while len(answers) < len(ACCEPTED) + 2:
                answers += await stream.receive()
            assert answers == ACCEPTED + b"\xd0\0"
