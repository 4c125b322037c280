"""What a session has come to so far, as a value: a pure fold over its events, without drawing, clock or terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tracker.dashboard.words import clock_time, printable, skip_reason, words_of
from tracker.events import (
    Event,
    Latency,
    ListeningPaused,
    ListeningResumed,
    MomentMarked,
    Preview,
    SessionEnded,
    SessionStarted,
    SpeakerRenamed,
    TurnEnded,
    TurnSkipped,
    TurnStarted,
)

MAX_ROWS = 1000
"""Turns that are remembered for the last picture; the recorded session has all."""
MAX_FEELINGS = 500
MAX_LATENCIES = 200
MAX_NOTES = 3
MAX_MARKS = 50

RowState = Literal["speaking", "judged", "unsure", "skipped"]


@dataclass(frozen=True, slots=True)
class Row:
    """One turn on the screen.

    Attributes:
        turn: Its number in the session.
        channel: Where it was heard.
        start_ns: Media time.
        state: What has become of it.
        speaker: The speaker's id; empty until it is judged.
        text: What was said.
        emotion: Empty until it is judged.
        confidence: Of the emotion, 0 to 1.
        reason: Why it was skipped or why the judgement is unsure.
        judged: All that is known of it, once it is judged.
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
    judged: TurnEnded | None = None


@dataclass(frozen=True, slots=True)
class Feeling:
    """What one turn of a speaker expressed."""

    start_ns: int
    end_ns: int
    emotion: str
    confidence: float
    unsure: bool


@dataclass(frozen=True, slots=True)
class Speaker:
    """One speaker.

    Attributes:
        id: As in the events.
        name: What a user calls them, or the id.
        feelings: Of their turns, the latest `MAX_FEELINGS`.
        turns: How many were judged.
        spoken_ns: How long these were together.
    """

    id: str
    name: str
    feelings: tuple[Feeling, ...] = ()
    turns: int = 0
    spoken_ns: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that a user wants to find again, before which turn it lies, and the sentence that tells of it."""

    at_ns: int
    sentence: str


@dataclass(frozen=True, slots=True)
class View:
    """Everything that is shown of a session.

    Attributes:
        started: The session's header, once it has one.
        rows: Turns in the order of their start, the latest `MAX_ROWS`.
        people: In the order in which they were first heard: each one's place is their colour.
        latencies: Of the latest `MAX_LATENCIES` turns.
        marks: The latest `MAX_MARKS` marked moments and pauses.
        modalities: What the last turn was judged by, or why not.
        judged: Turns judged.
        unsure: Those of them without a clear judgement.
        skipped: Turns that could not be judged.
        forgotten: Turns no longer among `rows`.
        notes: The last sentences to the user.
        paused: Whether a user has closed the source.
        reached_ns: The latest media time that an event told of.
        ended: How the session ended, once it has.
    """

    started: SessionStarted | None = None
    rows: tuple[Row, ...] = ()
    people: tuple[Speaker, ...] = ()
    latencies: tuple[Latency, ...] = ()
    marks: tuple[Mark, ...] = ()
    modalities: tuple[tuple[str, str], ...] = ()
    judged: int = 0
    unsure: int = 0
    skipped: int = 0
    forgotten: int = 0
    notes: tuple[str, ...] = ()
    paused: bool = False
    reached_ns: int = 0
    ended: SessionEnded | None = None

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers' ids."""
        return tuple(speaker.id for speaker in self.people)

    @property
    def labels(self) -> Sequence[str]:
        """The session's emotions."""
        return self.started.labels if self.started else ()

    @property
    def emotion_width(self) -> int:
        """Room for the longest of them and a question mark."""
        return max(9, *(len(label) + 1 for label in self.labels)) if self.labels else 9

    def name_of(self, speaker: str) -> str:
        """What to call a speaker."""
        return next((one.name for one in self.people if one.id == speaker), speaker)


def fold(view: View, event: Event) -> View:
    """The view after an event."""
    match event:
        case SessionStarted():
            return replace(view, started=event)
        case TurnStarted():
            view = _reach(view, event.start_ns)
            return _with(view, Row(event.turn, event.channel, event.start_ns))
        case TurnEnded():
            return _judged(_reach(view, event.end_ns), event)
        case TurnSkipped():
            row = Row(event.turn, event.channel, event.start_ns, "skipped", reason=skip_reason(event))
            return replace(_with(_reach(view, event.end_ns), row), skipped=view.skipped + 1)
        case ListeningPaused():
            return replace(_marked(view, event.at_ns, "paused: nothing is heard"), paused=True)
        case ListeningResumed():
            return replace(
                _marked(view, event.at_ns, f"listening again after {event.paused_ms / 1000:.1f} s"), paused=False
            )
        case MomentMarked():
            return _marked(view, event.at_ns, f"marked: {printable(event.note)}" if event.note else "marked")
        case SpeakerRenamed():
            return _renamed(_reach(view, event.at_ns), printable(event.speaker), printable(event.name))
        case SessionEnded():
            return replace(_reach(view, event.media_ns), ended=event)


def previewed(view: View, preview: Preview) -> View:
    """The view with what a turn under way comes to so far; the same view where that turn is over."""
    if any(row.turn == preview.turn and row.state != "speaking" for row in view.rows):
        return view
    row = Row(preview.turn, preview.channel, preview.start_ns, text=printable(preview.text))
    return _with(_reach(view, preview.end_ns), row)


def noted(view: View, sentence: str) -> View:
    """The view with one more sentence to the user."""
    return replace(view, notes=(*view.notes, printable(sentence))[-MAX_NOTES:])


def _judged(view: View, event: TurnEnded) -> View:
    speaker, emotion = printable(event.speaker), printable(event.emotion)
    row = Row(
        turn=event.turn,
        channel=event.channel,
        start_ns=event.start_ns,
        state="unsure" if event.abstained else "judged",
        speaker=speaker,
        text=words_of(event),
        emotion=emotion,
        confidence=event.confidence,
        reason=printable(event.abstained_reason or ""),
        judged=event,
    )
    feeling = Feeling(event.start_ns, event.end_ns, emotion, event.confidence, event.abstained)
    people = view.people if speaker in view.speakers else (*view.people, Speaker(speaker, speaker))
    called = printable(event.speaker_name or "")
    return replace(
        _with(view, row),
        people=tuple(_heard(one, feeling, called) if one.id == speaker else one for one in people),
        latencies=(*view.latencies, event.latency_ms)[-MAX_LATENCIES:],
        modalities=tuple((name, printable(use)) for name, use in event.modalities.items()),
        judged=view.judged + 1,
        unsure=view.unsure + event.abstained,
    )


def _heard(speaker: Speaker, feeling: Feeling, called: str) -> Speaker:
    return replace(
        speaker,
        name=called or speaker.name,
        feelings=(*speaker.feelings, feeling)[-MAX_FEELINGS:],
        turns=speaker.turns + 1,
        spoken_ns=speaker.spoken_ns + feeling.end_ns - feeling.start_ns,
    )


def _renamed(view: View, speaker: str, name: str) -> View:
    people = view.people if speaker in view.speakers else (*view.people, Speaker(speaker, speaker))
    return replace(view, people=tuple(replace(one, name=name) if one.id == speaker else one for one in people))


def _marked(view: View, at_ns: int, sentence: str) -> View:
    return replace(_reach(view, at_ns), marks=(*view.marks, Mark(at_ns, sentence))[-MAX_MARKS:])


def _reach(view: View, media_ns: int) -> View:
    return replace(view, reached_ns=max(view.reached_ns, media_ns))


def _with(view: View, row: Row) -> View:
    """Put a row at its place, over the one of the same turn if there is one."""
    rows = [other for other in view.rows if other.turn != row.turn]
    place = next((i for i in range(len(rows), 0, -1) if rows[i - 1].turn < row.turn), 0)
    rows.insert(place, row)
    over = max(0, len(rows) - MAX_ROWS)
    return replace(view, rows=tuple(rows[over:]), forgotten=view.forgotten + over)


__all__ = ["Feeling", "Mark", "Row", "Speaker", "View", "clock_time", "fold", "noted", "previewed"]
