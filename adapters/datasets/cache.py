"""What training keeps on this machine, and how much.

What the frozen models make of training data is kept between runs, up to a bound: 8 GiB, or what
``$EMOTION_TRACKER_TRAINING_CACHE_GIB`` says. What was not used for longest goes first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from adapters.assets import cache_root
from adapters.errors import AdapterError, without_controls

_BOUND = "EMOTION_TRACKER_TRAINING_CACHE_GIB"
_ABANDONED = 3600.0  # seconds


def training_folder() -> Path:
    """Where training keeps what the frozen models made of the data; every file is written whole, then renamed."""
    return cache_root() / "training"


def training_bound() -> int:
    """How many bytes training may keep.

    Raises:
        AdapterError: The setting is no size.
    """
    text = os.environ.get(_BOUND, "8")
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not 0 <= size < float("inf"):
        raise AdapterError(f"${_BOUND} is {text!r}: give a number of GiB, 0 or more")
    return int(size * 2**30)


def clean_up(bound: int | None = None, spare: Path | None = None) -> int:
    """Delete what training has not used for longest until the rest is within a bound.

    Args:
        bound: In bytes; `training_bound` if not given.
        spare: A file that is in use, and stays whatever its size.

    Returns:
        Bytes that were freed.

    Raises:
        AdapterError: As `training_bound`.
    """
    bound = training_bound() if bound is None else bound
    files = list(_files())
    left, freed = sum(stat.st_size for _, stat in files), 0
    for path, stat in sorted(files, key=lambda file: file[1].st_mtime_ns):
        if left <= bound:
            break
        if path != spare:
            path.unlink(missing_ok=True)  # another run may clean up, too
            left, freed = left - stat.st_size, freed + stat.st_size
    return freed


def _files() -> Iterator[tuple[Path, os.stat_result]]:
    """What is there; what another run is writing is none of it, but for what was left behind an hour ago."""
    for path in training_folder().glob("*"):
        try:
            stat = path.stat()
        except FileNotFoundError:  # another run cleaned up
            continue
        written = path.suffix != ".partial" or time.time() - stat.st_mtime > _ABANDONED
        if path.is_file() and written:
            yield path, stat


def main(clear: Annotated[bool, typer.Option("--clear", help="Delete all that training has kept.")] = False) -> None:
    """List what training has kept, or delete it."""
    if clear:
        typer.echo(f"freed {clean_up(bound=0) / 2**20:.0f} MiB in {training_folder()}")
        return
    for path, stat in sorted(_files()):
        typer.echo(without_controls(f"{stat.st_size / 2**20:9.1f} MiB  {path.name}"))
    typer.echo(f"in {training_folder()}; delete all of it with --clear")
