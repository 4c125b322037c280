"""Where downloaded weights and computed features live on this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

import platformdirs

from adapters.presets import LLMS

_ON_HUB = re.compile(r"[\w.-]+/[\w.-]+")


def cache_root() -> Path:
    """The cache folder: ``$EMOTION_TRACKER_CACHE``, else the platform's user cache directory."""
    override = os.environ.get("EMOTION_TRACKER_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("emotion-tracker", appauthor=False))


def backbone_source(name: str) -> str | Path:
    """Where an LLM is that a recipe or card names.

    Args:
        name: A folder, a pulled asset, a preset (`adapters.presets.LLMS`) or ``owner/name`` on the Hugging Face hub.

    Returns:
        A folder, or a name on the hub; the folder of the asset, which is not there, where it is none of these.
    """
    for folder in (Path(name), asset_folder(name)):
        if folder.is_dir():
            return folder
    if name in LLMS:
        return LLMS[name].hub
    return name if _ON_HUB.fullmatch(name) else asset_folder(name)


def asset_folder(name: str) -> Path:
    """The folder of one asset by its name in the manifest; it exists once the asset was pulled."""
    return cache_root() / "assets" / name
