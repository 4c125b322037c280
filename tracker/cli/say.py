"""The door to standard output and standard error: every line, table and JSON document that a command prints.

Ruff refuses any other `print` or `typer.echo` in the tracker. What is drawn, by the dashboard and the progress bars,
passes through `tracker.sinks.text` on its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adapters.errors import without_controls
from tracker.sinks.text import printable, printable_json


def say(line: str, *, err: bool = False) -> None:
    """Print one line."""
    typer.echo(without_controls(line), err=err)  # noqa: TID251


def say_json(document: str, *, err: bool = False) -> None:
    """Print a JSON document, of one line or several."""
    typer.echo("\n".join(map(printable_json, document.split("\n"))), err=err)  # noqa: TID251


def say_table(headings: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> None:
    """Print a table of whole lines, which a terminal narrower than this wraps."""
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(width=width, highlight=False).print(table)
