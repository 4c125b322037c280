"""The terminal's keys: from bytes to names (pure), and reading them from a terminal."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import anyio

_ESCAPES = {
    b"[A": "up", b"[B": "down", b"[C": "right", b"[D": "left",
    b"OA": "up", b"OB": "down", b"OC": "right", b"OD": "left",
    b"[H": "home", b"[F": "end", b"OH": "home", b"OF": "end", b"[1~": "home", b"[4~": "end",
    b"[5~": "page up", b"[6~": "page down",
}  # fmt: skip
_NAMES = {"\r": "enter", "\n": "enter", "\t": "tab", "\x7f": "backspace", "\x08": "backspace"}


def parse_keys(data: bytes) -> list[str]:
    """The keys in bytes read at once: printable characters as they are, others by name; unknown ones are left out."""
    keys: list[str] = []
    while data:
        if data[0] == 0x1B:
            name, data = _escape(data[1:])
            keys += [name] if name else []
            continue
        plain, escape, rest = data.partition(b"\x1b")
        keys += [_NAMES.get(one, one) for one in plain.decode(errors="ignore") if one in _NAMES or one.isprintable()]
        data = escape + rest
    return keys


def _escape(data: bytes) -> tuple[str, bytes]:
    """The key of an escape sequence without its first byte (unknown: empty), and what follows it."""
    if data[:1] not in (b"[", b"O"):
        return "escape", data
    end = next((i for i in range(1, len(data)) if 0x40 <= data[i] <= 0x7E), len(data) - 1)
    return _ESCAPES.get(data[: end + 1], ""), data[end + 1 :]


def can_read_keys(stream: TextIO) -> bool:
    """Whether keys can be read from a stream: a terminal, with this process in its foreground, on a POSIX system."""
    if os.name != "posix" or not stream.isatty():
        return False
    with suppress(OSError, ValueError):
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    return False


@contextmanager
def raw_keys(stream: TextIO = sys.stdin) -> Iterator[Callable[[], AsyncIterator[str]]]:
    r"""Read each key at once and without echo; the terminal is restored afterwards, also when Python exits.

    Ctrl-C still interrupts. Ctrl-Z and Ctrl-\ have no effect meanwhile: they would leave the terminal unrestored.

    Args:
        stream: For which `can_read_keys` is true.

    Yields:
        The keys as they are pressed, until the terminal has gone.
    """
    import termios

    file = stream.fileno()
    before = termios.tcgetattr(file)
    ours = termios.tcgetattr(file)
    ours[3] &= ~(termios.ICANON | termios.ECHO)
    ours[6][termios.VMIN], ours[6][termios.VTIME] = 1, 0
    for sign in (termios.VSUSP, termios.VQUIT):
        ours[6][sign] = b"\x00"

    def restore() -> None:
        with suppress(termios.error):
            termios.tcsetattr(file, termios.TCSADRAIN, before)

    async def keys() -> AsyncIterator[str]:
        while True:
            await anyio.wait_readable(file)
            try:
                data = os.read(file, 1024)
            except OSError:
                return
            if not data:
                return
            for key in parse_keys(data):
                yield key

    atexit.register(restore)
    termios.tcsetattr(file, termios.TCSADRAIN, ours)
    try:
        yield keys
    finally:
        restore()
        atexit.unregister(restore)
