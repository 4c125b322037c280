"""Step 7: where events go.

In: events. Out: plain or JSON lines; `text` and `palette` hold what all displays share. Each sink runs on its own
bounded edge, so that a slow or broken one delays no other.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from typing import Any, Protocol, runtime_checkable

from tracker.events import Event, Preview


@runtime_checkable
class Sink(Protocol):
    """Takes a session's events in order until they end.

    Attributes:
        name: Shown in metrics and messages.
    """

    name: str

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Handle every event; return when they have ended and all is delivered or given up.

        Raises:
            SinkError: The output cannot be opened or written any more; the session goes on without it.
        """


class SinkFactory(Protocol):
    """Makes a sink: what an entry point in ``emotion_tracker.sinks`` names."""

    def __call__(self, settings: Mapping[str, Any]) -> Sink:
        """The sink, not yet open.

        Args:
            settings: Its own table of the settings, ``[sinks.NAME]``.

        Raises:
            ConfigError: A setting is unknown or has a bad value.
        """


@runtime_checkable
class PreviewSink(Sink, Protocol):
    """A sink that also shows what a turn under way comes to so far."""

    async def run_previews(self, previews: AsyncIterable[Preview]) -> None:
        """Show every preview, beside `run`; one that is not taken in time gives way to the next."""
