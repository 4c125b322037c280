"""Progress bars on standard error, so that standard output stays free for results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

_T = TypeVar("_T")
_CONSOLE = Console(stderr=True)


def progress(steps: Iterable[_T], what: str, total: int | None = None) -> Iterable[_T]:
    """The same steps, with a bar that moves as they are taken."""
    return track(steps, what, total=total, console=_CONSOLE)
