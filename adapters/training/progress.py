"""Progress on standard error, so that standard output stays free for results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import track

_T = TypeVar("_T")
_CONSOLE = Console(stderr=True)
_EVERY = 60.0  # seconds


def progress(steps: Iterable[_T], what: str, total: int | None = None) -> Iterable[_T]:
    """The same steps, with a bar that moves as they are taken; where no terminal is, with a line a minute."""
    if total is None and isinstance(steps, Sized):
        total = len(steps)
    if not _CONSOLE.is_terminal:
        steps = with_lines(steps, what, total, _CONSOLE.print, time.monotonic)
    return track(steps, what, total=total, console=_CONSOLE)


def with_lines(
    steps: Iterable[_T], what: str, total: int | None, write: Callable[[str], None], now: Callable[[], float]
) -> Iterator[_T]:
    """The same steps; writes how far they are, at most once a minute."""
    last = now()
    for done, step in enumerate(steps, 1):
        yield step
        if (at := now()) - last >= _EVERY:
            last = at
            write(f"{what}: {done}" + ("" if total is None else f" of {total}"))
