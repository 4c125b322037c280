"""What ``tracker bench`` prints, and when it fails."""

from __future__ import annotations

import json as json_format
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracker.bench.bench import BenchOptions, bench, table
from tracker.bench.soak import MAY_GROW, soak
from tracker.cli.say import say, say_json
from tracker.config import Config
from tracker.errors import ConfigError
from tracker.sinks.text import printable


def measure(
    sources: Sequence[str],
    config: Config,
    runs: int,
    pace: str,
    at_once: int,
    stagger_s: float,
    soak_hours: float,
    baseline: bool,
    beam: int,
    start: bool,
    json: bool,
) -> bool:
    """Measure and print.

    Returns:
        False where a turn was lost, or memory grew by more than `MAY_GROW` percent.

    Raises:
        ConfigError: An option has a bad value.
        TrackerError: A source or a model cannot be had.
    """
    if pace not in ("both", "fast", "realtime"):
        raise ConfigError(f"--pace: must be both, fast or realtime, not {pace!r}")
    if at_once and pace == "fast":
        raise ConfigError("--at-once: conversations at the same time are paced; leave out --pace fast")
    told = partial(say, err=True)
    if soak_hours:
        found = soak(sources, soak_hours, config, told)
        _print(found, json, _plain)
        return not (found["growth_percent"] or 0.0) > MAY_GROW
    found = bench(sources, config, BenchOptions(runs, pace, at_once, stagger_s, baseline, beam, start), told)  # type: ignore[arg-type]  # checked above
    _print(found, json, table)
    return not (found["lost"] or found["dropped"])


def _print(found: dict[str, Any], json: bool, shown: Callable[[dict[str, Any]], Table]) -> None:
    if json:
        say_json(json_format.dumps(found))
    else:
        Console().print(shown(found))


def _plain(found: dict[str, Any]) -> Table:
    made = Table(show_header=False)
    for name, value in found.items():
        made.add_row(name.replace("_", " "), Text("-" if value is None else printable(f"{value}")))
    return made
