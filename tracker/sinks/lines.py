"""The session as plain lines, one per turn, for pipes, logs and terminals that can do no more."""

from __future__ import annotations

from tracker.dashboard.words import clock_time, header, outcome, printable, skip_reason, words_of
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


def line_of(event: Event) -> str | None:
    """One line about an event, or None for a turn that is not over."""
    match event:
        case SessionStarted():
            return f"listening to {header(event)}"
        case TurnStarted():
            return None
        case TurnEnded():
            judged = f"{printable(event.emotion)} {event.confidence:.0%}"
            if event.abstained:
                judged = f"unsure, perhaps {judged} ({printable(event.abstained_reason or 'no reason given')})"
            return f"{_span(event)}  {printable(event.speaker_name or event.speaker)}  [{judged}]  {words_of(event)}"
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


def _span(event: TurnEnded | TurnSkipped) -> str:
    return f"{clock_time(event.start_ns)}-{clock_time(event.end_ns)}"
