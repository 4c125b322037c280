"""Events as plain lines, one per turn, for pipes, logs and terminals that cannot move their cursor."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterator
from contextlib import contextmanager
from typing import final

import anyio.to_thread

from tracker.errors import SinkError
from tracker.events import (
    Event,
    ListeningPaused,
    ListeningResumed,
    MomentMarked,
    SessionEnded,
    SessionStarted,
    SpeakerMerged,
    SpeakerRenamed,
    TurnEnded,
    TurnSkipped,
    TurnStarted,
)
from tracker.runtime.streams import STANDARD_OUTPUT
from tracker.sinks.text import clock_time, header, outcome, printable, skip_reason, transcript


@final
class NamedLines:
    """A sink that prints the lines of one of several sessions, each with the session's name in front.

    Args:
        source: The session's name.
        print_line: Called off the event loop; raises `OSError` where the line cannot be written.
    """

    name = "terminal"

    def __init__(self, source: str, print_line: Callable[[str], None]) -> None:
        self._source = source
        self._print_line = print_line

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Print every event until they end or nobody reads.

        Raises:
            SinkError: The terminal cannot be written.
        """
        with ending_unread():
            await print_lines(events, lambda line: self._print_line(f"{self._source}  {line}"))


@contextmanager
def ending_unread() -> Iterator[None]:
    """Ends quietly where nobody reads standard output any more.

    Raises:
        SinkError: It cannot be written for another reason.
    """
    try:
        yield
    except BrokenPipeError:
        return
    except OSError as error:
        raise SinkError(f"{STANDARD_OUTPUT} cannot be written: {error.strerror}") from error


async def print_lines(events: AsyncIterable[Event], print_line: Callable[[str], None]) -> None:
    """Print one line about every event that has one.

    Raises:
        OSError: A line cannot be written.
    """
    async for event in events:
        if line := line_of(event):
            await anyio.to_thread.run_sync(print_line, line, abandon_on_cancel=True)


def line_of(event: Event) -> str | None:
    """One line about an event, or None for a turn that has not ended."""
    match event:
        case SessionStarted():
            return f"listening to {header(event)}"
        case TurnStarted():
            return None
        case TurnEnded():
            named = " or ".join(map(printable, event.mixed)) or printable(event.emotion)
            judged = f"{named} {event.confidence:.0%}"
            if event.abstained:
                judged = f"unsure, perhaps {judged} ({printable(event.abstained_reason or 'no reason given')})"
            return f"{_span(event)}  {printable(event.speaker_name or event.speaker)}  [{judged}]  {transcript(event)}"
        case TurnSkipped():
            return f"{_span(event)}  skipped  ({skip_reason(event)})"
        case ListeningPaused():
            return f"{clock_time(event.at_ns)}  paused: nothing is heard"
        case ListeningResumed():
            return f"{clock_time(event.at_ns)}  listening again"
        case MomentMarked():
            return f"{clock_time(event.at_ns)}  marked" + (f": {printable(event.note)}" if event.note else "")
        case SpeakerRenamed():
            return f"{clock_time(event.at_ns)}  {printable(event.speaker)} is now called {printable(event.name)}"
        case SpeakerMerged():
            return f"{clock_time(event.at_ns)}  {printable(event.speaker)} is {printable(event.into)}"
        case SessionEnded():
            return outcome(event)


def _span(event: TurnEnded | TurnSkipped) -> str:
    return f"{clock_time(event.start_ns)}-{clock_time(event.end_ns)}"
