"""``tracker assets list | pull | verify``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from adapters.contract import cache_root
from tracker import config
from tracker.assets.fetch import Progress as Told
from tracker.assets.manifest import load_manifest
from tracker.assets.store import Store, damaged
from tracker.cli.say import say, say_table
from tracker.errors import AssetError

app = typer.Typer(help="Models and samples: list them, pull them, verify them.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Assets; where none is named, all but the optional ones.")]
Again = Annotated[bool, typer.Option("--again", help="Pull them even if they are in the cache, and replace them.")]


@app.command("list")
def list_assets() -> None:
    """Show every asset, its size and licence, and whether it is in the cache."""
    store = _store()
    rows = [
        (name, _megabytes(asset.size), "yes" if store.present(name) else "no", asset.licence, asset.use)
        for name, asset in load_manifest().assets.items()
    ]
    say_table(("asset", "size", "cached", "licence", "what for"), rows, width=150)


@app.command()
def pull(names: Names = None, again: Again = False) -> None:
    """Fetch what is missing, and check every file against its hash."""
    if not pull_assets(_store(), names or load_manifest().default, again=again):
        say(f"nothing to pull, all are in {cache_root()}")


@app.command()
def verify(names: Names = None) -> None:
    """Read every cached file again and compare its hash."""
    store = _store()
    manifest = load_manifest()
    checked = names or [name for name in manifest.assets if name in manifest.default or store.present(name)]
    faults = {name: found for name in checked if (found := store.verify(name))}
    if faults:
        raise AssetError(damaged(faults))
    say("every file is what it should be")


def pull_assets(store: Store, names: list[str], *, again: bool = False) -> list[str]:
    """Pull what is missing of some assets: a progress bar in a terminal, one line for each that came.

    Args:
        store: Where to.
        names: Which.
        again: Pull also what is in the cache, and replace it.

    Returns:
        Those that were pulled.

    Raises:
        AssetError: One cannot be had; those before it are kept.
    """
    console = Console(file=sys.stderr, soft_wrap=True)
    missing = [name for name in names if again or not store.present(name)]
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        for name in missing:
            asset = load_manifest().asset(name)
            task = bars.add_task(name, total=None)
            store.folder(name, _report(bars, task), again=again)
            bars.remove_task(task)
            console.print(f"pulled {name}, {_megabytes(asset.size)}, {asset.licence}", highlight=False)
    return missing


def _report(bars: Progress, task: TaskID) -> Told:
    return lambda arrived, total: bars.update(task, completed=arrived, total=total)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _store() -> Store:
    return Store(config.load(None).assets.paths)
