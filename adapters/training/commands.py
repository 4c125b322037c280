"""What the commands of the learned half share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from adapters.errors import AdapterError

Seed = Annotated[
    int, typer.Option(help="Of initial weights, order and draws; the first of several.", min=0, max=2**31 - 1)
]


@contextmanager
def said_in_one_line() -> Iterator[None]:
    """End the command with one line on standard error and exit code 1 where the user can mend what is wrong."""
    try:
        yield
    except AdapterError as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(1) from error
