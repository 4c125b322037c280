"""The session as plain lines, one per turn, for pipes, logs and terminals that can do no more."""

from __future__ import annotations

from tracker.events import (
    Event,
    ListeningPaused,
    ListeningResumed,
    MomentMarked,
    SessionEnded,
    SessionStarted,
    SpeakerRenamed,
    TurnEnded,
    TurnSkipped,
    TurnStarted,
)
from tracker.sinks.view import clock_time, printable, skip_reason, words_of


def line_of(event: Event) -> str | None:
    """One line about an event, or None for a turn that has only begun."""
    match event:
        case SessionStarted():
            return f"listening to {header(event)}"
        case TurnStarted():
            return None
        case TurnEnded():
            judged = f"{printable(event.emotion)} {event.confidence:.0%}"
            if event.abstained:
                judged = f"unsure, perhaps {judged} ({printable(event.abstained_reason or 'no reason given')})"
            return f"{_span(event)}  {printable(event.speaker)}  [{judged}]  {words_of(event)}"
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
        case SessionEnded():
            return outcome(event)


def header(event: SessionStarted) -> str:
    """What is listened to."""
    channels = "1 channel" if event.channels == 1 else f"{event.channels} channels"
    return f"{printable(event.source)}, {channels}{', live' if event.live else ''}"


def outcome(event: SessionEnded) -> str:
    """How a session ended, with its counters."""
    parts = [
        f"{event.outcome} after {clock_time(event.media_ns)}",
        f"{event.turns_started} turns",
        f"{event.turns_ended} judged",
        f"{event.turns_skipped} skipped",
    ]
    parts += [f"{count} {printable(name)} dropped" for name, count in sorted(event.dropped.items())]
    return ", ".join(parts) + (f": {printable(event.error)}" if event.error else "")


def _span(event: TurnEnded | TurnSkipped) -> str:
    return f"{clock_time(event.start_ns)}-{clock_time(event.end_ns)}"
