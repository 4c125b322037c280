"""What the command line asks of a run, and the sinks that print."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tracker.config import Config
from tracker.dashboard.terminal import Terminal, default_keyboard
from tracker.runtime.clock import SystemClock
from tracker.sinks import Sink
from tracker.sinks.jsonl import JsonLines


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line asks of one run, beyond the settings.

    Attributes:
        json: Print events as JSON lines instead of showing them.
        record: Folder of the recorded session, or None.
        stdin_rate_hz: Rate of the samples on standard input.
        stdin_channels: How many channels are interleaved there.
        plain: Show lines even where a picture could be drawn.
    """

    json: bool = False
    record: Path | None = None
    stdin_rate_hz: int = 16_000
    stdin_channels: int = 1
    plain: bool = False


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Fail as at any other fault, where rich's own console would end the program."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def terminal_of(config: Config, options: RunOptions) -> Terminal:
    """Also where it is not shown: it tells the user what has to be told."""
    console = _Console(stderr=options.json, force_terminal=False if options.plain else None)
    return Terminal(console, SystemClock(), config.terminal.max_fps, config.session.notice, default_keyboard())


def shown(config: Config, options: RunOptions, terminal: Terminal) -> list[Sink]:
    """The sinks that print."""
    sinks: list[Sink] = [JsonLines(sys.stdout)] if options.json else []
    if config.terminal.enabled and not options.json:
        sinks.append(terminal)
    return sinks
