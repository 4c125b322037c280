"""What other packages add: entry points by group and name. The built-in ones are registered the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from adapters.contract import AdapterError, Recogniser, RecogniserOptions, TurnInput, Utterance
from tracker.errors import ConfigError, TrackerError, sentence_of
from tracker.recognise import publishable
from tracker.sinks import Sink
from tracker.sources.media import Source
from tracker.sources.open import SourceName, SourceOptions

P = TypeVar("P")

SOURCES = "emotion_tracker.sources"
SINKS = "emotion_tracker.sinks"
RECOGNISERS = "emotion_tracker.recognisers"


def load(group: str, name: str, setting: str) -> Any:
    """What an entry point names.

    Args:
        group: One of the above.
        name: The entry point's.
        setting: What named it, for messages.

    Raises:
        ConfigError: There is none of that name, there are several, or it cannot be imported.
    """
    found = entry_points(group=group, name=name)
    if not found:
        known = ", ".join(sorted(entry_points(group=group).names))
        raise ConfigError(f"{setting}: {name!r} is not installed; there are: {known}")
    if len(found) > 1:
        raise ConfigError(
            f"{setting}: {name!r} is provided by {', '.join(map(_package, found))}; uninstall all but one"
        )
    (entry,) = found
    try:
        return entry.load()
    except TrackerError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{setting}: the plug-in {name!r} of {_package(entry)} fails: {sentence_of(error)}"
        ) from error


def make(protocol: type[P], group: str, name: str, setting: str, *args: object) -> P:
    """What an entry point's factory makes of some arguments.

    Args:
        protocol: What it must be.
        group: As `load`.
        name: As `load`.
        setting: As `load`.
        args: What the factory takes.

    Raises:
        ConfigError: As `load`; or the factory fails, or makes something else.
        TrackerError: The factory refuses its arguments.
        AdapterError: As before, of a recogniser.
    """
    factory = load(group, name, setting)
    try:
        made = factory(*args)
    except (TrackerError, AdapterError):
        raise
    except Exception as error:
        raise ConfigError(f"{setting}: the plug-in {name!r} fails: {sentence_of(error)}") from error
    if not isinstance(made, protocol):
        raise ConfigError(
            f"{setting}: the plug-in {name!r} makes {type(made).__name__}, which is no {protocol.__name__}"
        )
    return made


def source(name: SourceName, options: SourceOptions) -> Source:
    """The source that a scheme's plug-in makes.

    Raises:
        TrackerError: As `make`.
    """
    return make(Source, SOURCES, name.scheme, name.target or name.scheme, name.target, options)  # type: ignore[type-abstract]


def sinks(tables: Mapping[str, Mapping[str, Any]]) -> Sequence[Sink]:
    """A sink for each table ``[sinks.NAME]`` of the settings.

    Raises:
        TrackerError: As `make`.
    """
    return [make(Sink, SINKS, name, f"sinks.{name}", deepcopy(table)) for name, table in tables.items()]  # type: ignore[type-abstract]


def recogniser(name: str, options: RecogniserOptions) -> Recogniser:
    """The recogniser of a plug-in, once it has judged a turn.

    Raises:
        TrackerError: As `make`.
        AdapterError: The adapter cannot be used.
    """
    setting = "recognise.recogniser"
    made = make(Recogniser, RECOGNISERS, name, setting, options)  # type: ignore[type-abstract]
    try:
        first = Utterance("Speaker 1", "Hello.")
        made.count_tokens(first)
        publishable(made.follow(TurnInput(first), made.start()), made.labels)
    except Exception as error:
        raise ConfigError(f"{setting}: the plug-in {name!r} fails at a first turn: {sentence_of(error)}") from error
    return made


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an unknown package"
