"""A real terminal: tmux, its keys pressed and its screen read from tests."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.support import TOP


class Tmux:
    """One window of a tmux server of its own.

    Args:
        command: Runs in it, with a shell after it so that what it leaves on the screen stays.
        folder: Where it runs.
        size: Columns and lines.
        environment: Added to this process's.
    """

    def __init__(
        self,
        *command: str,
        folder: Path,
        size: tuple[int, int] = (80, 24),
        environment: dict[str, str] | None = None,
    ) -> None:
        if not shutil.which("tmux"):
            pytest.skip("no tmux: install Debian's tmux")
        self._socket = f"tracker-{secrets.token_hex(4)}"
        width, height = size
        line = (
            f"{shlex.join(command)}; echo \"left with $?\"; stty -a | tr ';' '\\n' | grep -ow -e '-\\?echo' ; exec cat"
        )
        where = {"PYTHONPATH": str(TOP), **(environment or {})}
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", str(width), "-y", str(height), "-c", str(folder),
            *(word for pair in where.items() for word in ("-e", "=".join(pair))), line,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], check=False, capture_output=True)

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._tmux("send-keys", "-t", "t", *keys)

    def resize(self, width: int, height: int) -> None:
        self._tmux("resize-window", "-t", "t", "-x", str(width), "-y", str(height))

    def screen(self, colours: bool = False) -> str:
        """What is on the screen, with escape sequences for the colours if they are wanted."""
        return self._tmux("capture-pane", "-p", "-t", "t", *(["-e", "-N"] if colours else []))

    def until(self, *texts: str, within_s: float = 60) -> str:
        """Wait until the screen holds all these texts."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            screen = self.screen()
            if all(text in screen for text in texts):
                return screen
            time.sleep(0.05)
        raise AssertionError(f"{texts} did not appear:\n{self.screen()}")

    def in_alternate_screen(self) -> bool:
        return self._tmux("display-message", "-p", "-t", "t", "#{alternate_on}").strip() == "1"

    def _tmux(self, *arguments: str) -> str:
        kept = {name: value for name, value in os.environ.items() if name not in ("TMUX", "COLUMNS", "LINES")}
        environment = kept | {"LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            ["tmux", "-L", self._socket, *arguments], check=True, capture_output=True, text=True, env=environment
        )
        return done.stdout
