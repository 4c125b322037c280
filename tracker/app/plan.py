"""What will run, decided from the settings and the sources' names alone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tracker.config import Config
from tracker.errors import ConfigError
from tracker.mqtt.topics import slug, this_machine
from tracker.purpose import NOT_USED, words_only
from tracker.sources.open import parse_source
from tracker.sources.video import CameraVideo, NoVideo, parse_camera


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """One session.

    Attributes:
        argument: The SOURCE of the command line.
        name: What to call it among several; empty where it is the only one.
        video: The camera, or why there is no video; None: the file's own, where it has one.
        config: The settings, with topics of its own where there are several.
        record: Folder of its recording, or None.
    """

    argument: str
    name: str
    video: CameraVideo | NoVideo | None
    config: Config
    record: Path | None = None


def plan(arguments: Sequence[str], config: Config, record: Path | None = None) -> tuple[SessionPlan, ...]:
    """One session for each source, each with a name, topics and a folder of its own where there are several.

    Args:
        arguments: Each SOURCE of the command line.
        config: The settings.
        record: Folder of the recording, or of the recordings.

    Raises:
        SourceError: An argument names nothing.
        ConfigError: Two sessions cannot share a source or a camera, or a camera cannot go with the audio.
    """
    if len(arguments) == 1:
        return (SessionPlan(arguments[0], "", video_of(parse_source(arguments[0]).scheme, config), config, record),)
    planned = tuple(
        SessionPlan(
            argument,
            name,
            video_of(parse_source(argument).scheme, config),
            _own_node(config, name),
            record / name if record else None,
        )
        for argument, name in zip(arguments, names_of(arguments), strict=True)
    )
    if any(isinstance(one.video, CameraVideo) for one in planned):
        raise ConfigError("video.source: a camera shows one conversation; give one source, or run one tracker for each")
    return planned


def names_of(arguments: Sequence[str]) -> list[str]:
    """What to call each source: its file's name or its scheme, with a number where that is taken.

    Raises:
        ConfigError: What can be listened to by one session only is named twice.
    """
    names: list[str] = []
    for argument in arguments:
        source = parse_source(argument)
        if source.scheme != "file" and argument in arguments[: len(names)]:
            raise ConfigError(f"{argument}: is named twice, but can be listened to by one session only")
        name, count = slug(source.stem), 1
        while name in names:
            count += 1
            name = f"{slug(source.stem)}-{count}"
        names.append(name)
    return names


def video_of(scheme: str, config: Config) -> CameraVideo | NoVideo | None:
    """The video beside a source's audio; None: the file's own, where it has one.

    Args:
        scheme: As in `SourceName`; empty for a source object.
        config: The settings.

    Raises:
        ConfigError: A camera cannot go with this audio.
    """
    wanted = config.video.source
    if words_only(config.session.purpose, config.session.exception):
        return NoVideo(NOT_USED)
    if wanted == "auto" and scheme == "file":
        return None
    if wanted in ("", "auto"):
        return NoVideo("no camera")
    if config.input.pace == "fast" and scheme in ("file", "stdin"):
        raise ConfigError("video.source: a camera shows what happens now; its audio needs --pace realtime")
    return CameraVideo(parse_camera(wanted))


def _own_node(config: Config, name: str) -> Config:
    node = f"{config.mqtt.node or this_machine()}-{name}"
    return config.model_copy(update={"mqtt": config.mqtt.model_copy(update={"node": node})})
