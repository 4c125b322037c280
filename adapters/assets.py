"""Where pulled models are on this machine; `tracker assets pull` puts them there."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

SPEECH_ENCODER = "whisper-base"
FACE_ENCODER = "mini-xception-fer"
SOUND_DETECTOR = "yamnet"
BACKBONE = "smollm2-135m-instruct"


def cache_root() -> Path:
    """The cache folder: ``$EMOTION_TRACKER_CACHE``, else the platform's user cache directory."""
    override = os.environ.get("EMOTION_TRACKER_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("emotion-tracker", appauthor=False))


def asset_folder(name: str) -> Path:
    """The folder of one asset by its name in the manifest; it exists once the asset was pulled."""
    return cache_root() / "assets" / name
