"""The streaming half: microphones, cameras and files in, one event per speaker turn out.

As a library, start with `open_session`. To read it, start with `tracker/pipeline.py`: it is the whole path on one page,
and the folders are its steps. Importing this package loads nothing; each public name loads what it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import adapters  # noqa: F401  # before everything else: it keeps dependencies from reporting home

if TYPE_CHECKING:
    from tracker.api import Session, load_models, open_session
    from tracker.config import Config
    from tracker.errors import TrackerError
    from tracker.events import Event
    from tracker.sinks import Sink
    from tracker.sources.media import AudioChunk, Source
    from tracker.sources.push import PushSource

_HOMES = {
    "AudioChunk": "tracker.sources.media",
    "Config": "tracker.config",
    "Event": "tracker.events",
    "PushSource": "tracker.sources.push",
    "Session": "tracker.api",
    "Sink": "tracker.sinks",
    "Source": "tracker.sources.media",
    "TrackerError": "tracker.errors",
    "load_models": "tracker.api",
    "open_session": "tracker.api",
}

__all__ = [
    "AudioChunk",
    "Config",
    "Event",
    "PushSource",
    "Session",
    "Sink",
    "Source",
    "TrackerError",
    "load_models",
    "open_session",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
