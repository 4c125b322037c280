"""What the terminal shows, as a value: a pure fold over a session's events, without drawing, clock or terminal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

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

MAX_ROWS = 1000
"""Turns that are remembered for the last picture; the recorded session has all."""
MAX_NOTES = 3

RowState = Literal["speaking", "judged", "unsure", "skipped"]


@dataclass(frozen=True, slots=True)
class Row:
    """One turn on the screen.

    Attributes:
        turn: Its number in the session.
        channel: Where it was heard.
        start_ns: Media time.
        state: What has become of it.
        speaker: Empty until it is judged.
        text: What was said.
        emotion: Empty until it is judged.
        confidence: Of the emotion, 0 to 1.
        reason: Why it was skipped or why the judgement is unsure.
    """

    turn: int
    channel: int
    start_ns: int
    state: RowState = "speaking"
    speaker: str = ""
    text: str = ""
    emotion: str = ""
    confidence: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """Everything that the terminal shows.

    Attributes:
        started: The session's header, once it has one.
        rows: Turns in the order of their start, the latest `MAX_ROWS`.
        speakers: In the order in which they were first heard: each one's place is its colour.
        judged: Turns judged.
        unsure: Those of them without a clear judgement.
        skipped: Turns that could not be judged.
        forgotten: Turns no longer among `rows`.
        notes: The last sentences to the user.
        ended: How the session ended, once it has.
    """

    started: SessionStarted | None = None
    rows: tuple[Row, ...] = ()
    speakers: tuple[str, ...] = ()
    judged: int = 0
    unsure: int = 0
    skipped: int = 0
    forgotten: int = 0
    notes: tuple[str, ...] = ()
    ended: SessionEnded | None = None


def fold(view: View, event: Event) -> View:
    """The view after an event."""
    match event:
        case SessionStarted():
            return replace(view, started=event)
        case TurnStarted():
            return _with(view, Row(event.turn, event.channel, event.start_ns))
        case TurnEnded():
            row = Row(
                turn=event.turn,
                channel=event.channel,
                start_ns=event.start_ns,
                state="unsure" if event.abstained else "judged",
                speaker=printable(event.speaker),
                text=words_of(event),
                emotion=printable(event.emotion),
                confidence=event.confidence,
                reason=printable(event.abstained_reason or ""),
            )
            known = row.speaker in view.speakers
            return replace(
                _with(view, row),
                speakers=view.speakers if known else (*view.speakers, row.speaker),
                judged=view.judged + 1,
                unsure=view.unsure + event.abstained,
            )
        case TurnSkipped():
            row = Row(event.turn, event.channel, event.start_ns, "skipped", reason=skip_reason(event))
            return replace(_with(view, row), skipped=view.skipped + 1)
        case SessionEnded():
            return replace(view, ended=event)
        case ListeningPaused() | ListeningResumed() | MomentMarked() | SpeakerRenamed():
            return view


def noted(view: View, sentence: str) -> View:
    """The view with one more sentence to the user."""
    return replace(view, notes=(*view.notes, printable(sentence))[-MAX_NOTES:])


def words_of(event: TurnEnded) -> str:
    """What was said, or in brackets why there are no words."""
    why = event.modalities.get("text", "used")
    return printable(event.text) or f"({'no words' if why == 'used' else printable(why)})"


def skip_reason(event: TurnSkipped) -> str:
    """Why a turn was skipped, in words."""
    reason = event.reason.replace("_", " ")
    detail = printable(event.detail)
    return f"{reason}: {detail}" if detail and detail != reason else reason


def clock_time(media_ns: int) -> str:
    """Media time as people read it: 0:07.3, or 1:02:03.4."""
    tenths = media_ns // 100_000_000
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


def printable(text: str) -> str:
    """Text without what could move the cursor or change the terminal."""
    return "".join(character if character.isprintable() else " " for character in text).strip()


def _with(view: View, row: Row) -> View:
    """Put a row at its place, over the one of the same turn if there is one."""
    rows = [other for other in view.rows if other.turn != row.turn]
    place = next((i for i in range(len(rows), 0, -1) if rows[i - 1].turn < row.turn), 0)
    rows.insert(place, row)
    over = max(0, len(rows) - MAX_ROWS)
    return replace(view, rows=tuple(rows[over:]), forgotten=view.forgotten + over)
