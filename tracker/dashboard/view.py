"""The state of a session as a value: a pure fold over its events, without drawing, clock or terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tracker.events import (
    Event,
    Latency,
    ListeningPaused,
    ListeningResumed,
    MomentMarked,
    Preview,
    SessionEnded,
    SessionStarted,
    SpeakerMerged,
    SpeakerRenamed,
    TurnEnded,
    TurnSkipped,
    TurnStarted,
)
from tracker.sinks.text import printable, skip_reason, transcript

MAX_ROWS = 1000
"""Turns that are kept for the final screen; the recorded session has all."""
MAX_JUDGEMENTS = 500
MAX_LATENCIES = 200
MAX_NOTES = 3
MAX_MARKS = 50
VALENCE = "valence"
"""The dimension that is drawn as a curve, where turns have it."""

RowState = Literal["speaking", "judged", "unsure", "skipped"]


@dataclass(frozen=True, slots=True)
class Row:
    """One turn on the screen.

    Attributes:
        turn: Its number in the session.
        channel: Of the source.
        start_ns: Media time.
        state: Under way, judged, unsure or skipped.
        speaker: The speaker's id; empty until it is judged.
        text: The words.
        stable: The beginning of the words that is not likely to change, while the turn is under way.
        emotion: Empty until it is judged; that of the words so far while the turn is under way.
        confidence: Of the emotion, 0 to 1.
        reason: Why it was skipped or why the judgement is unsure.
        judged: The whole event, once it is judged.
    """

    turn: int
    channel: int
    start_ns: int
    state: RowState = "speaking"
    speaker: str = ""
    text: str = ""
    stable: str = ""
    emotion: str = ""
    confidence: float = 0.0
    reason: str = ""
    judged: TurnEnded | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The emotion of one turn, as judged, and its valence where an adapter tells it."""

    start_ns: int
    end_ns: int
    emotion: str
    confidence: float
    unsure: bool
    valence: float | None = None


@dataclass(frozen=True, slots=True)
class Speaker:
    """One speaker.

    Attributes:
        id: As in the events.
        name: The name that the user gave, or the id.
        judgements: The latest `MAX_JUDGEMENTS`.
        turns: How many were judged.
        spoken_ns: Their total length.
    """

    id: str
    name: str
    judgements: tuple[Judgement, ...] = ()
    turns: int = 0
    spoken_ns: int = 0


@dataclass(frozen=True, slots=True)
class Marker:
    """A moment that the user marked, or a pause, with a sentence about it."""

    at_ns: int
    sentence: str


@dataclass(frozen=True, slots=True)
class View:
    """The state of a session.

    Attributes:
        started: The session's header, once it has one.
        rows: Turns in the order of their start, the latest `MAX_ROWS`.
        speakers: In the order in which they were first heard, which decides their colours.
        latencies: Of the latest `MAX_LATENCIES` turns.
        merged: Pairs of ids: a speaker who is no more, and the one that the turns belong to.
        marks: The latest `MAX_MARKS` marked moments and pauses.
        modalities: Whether each modality was used for the last turn, or why not.
        has_valence: Whether any turn has had one.
        judged: Turns judged.
        unsure: Turns judged without a clear result.
        skipped: Turns that were not judged.
        forgotten: Turns no longer among `rows`.
        notes: The last sentences to the user.
        paused: Whether the user has paused listening.
        reached_ns: The latest media time of any event.
        ended: How the session ended, once it has.
    """

    started: SessionStarted | None = None
    rows: tuple[Row, ...] = ()
    speakers: tuple[Speaker, ...] = ()
    latencies: tuple[Latency, ...] = ()
    merged: tuple[tuple[str, str], ...] = ()
    marks: tuple[Marker, ...] = ()
    modalities: tuple[tuple[str, str], ...] = ()
    has_valence: bool = False
    judged: int = 0
    unsure: int = 0
    skipped: int = 0
    forgotten: int = 0
    notes: tuple[str, ...] = ()
    paused: bool = False
    reached_ns: int = 0
    ended: SessionEnded | None = None

    @property
    def speaker_ids(self) -> tuple[str, ...]:
        """The speakers' ids."""
        return tuple(speaker.id for speaker in self.speakers)

    @property
    def labels(self) -> Sequence[str]:
        """The emotions that the session judges."""
        return self.started.labels if self.started else ()

    @property
    def emotion_width(self) -> int:
        """Room for the longest of them and a question mark."""
        return max(9, *(len(label) + 1 for label in self.labels)) if self.labels else 9

    def whose(self, speaker: str) -> str:
        """The id that a speaker has by now."""
        for merged, into in self.merged:
            speaker = into if speaker == merged else speaker
        return speaker

    def name_of(self, speaker: str) -> str:
        """The name of a speaker."""
        return next((one.name for one in self.speakers if one.id == speaker), speaker)


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
        case SpeakerMerged():
            return _merged(_reach(view, event.at_ns), printable(event.speaker), printable(event.into))
        case SessionEnded():
            return replace(_reach(view, event.media_ns), ended=event)


def fold_preview(view: View, preview: Preview) -> View:
    """The view with a preview of a turn under way; unchanged where that turn has ended."""
    if any(row.turn == preview.turn and row.state != "speaking" for row in view.rows):
        return view
    row = Row(
        preview.turn,
        preview.channel,
        preview.start_ns,
        text=printable(preview.text),
        stable=printable(preview.stable),
        emotion=printable(preview.emotion),
        confidence=preview.confidence,
    )
    return _with(_reach(view, preview.end_ns), row)


def with_note(view: View, sentence: str) -> View:
    """The view with one more sentence to the user."""
    return replace(view, notes=(*view.notes, printable(sentence))[-MAX_NOTES:])


def _judged(view: View, event: TurnEnded) -> View:
    speaker, emotion = view.whose(printable(event.speaker)), printable(event.emotion)
    row = Row(
        turn=event.turn,
        channel=event.channel,
        start_ns=event.start_ns,
        state="unsure" if event.abstained else "judged",
        speaker=speaker,
        text=transcript(event),
        emotion=emotion,
        confidence=event.confidence,
        reason=printable(event.abstained_reason or ""),
        judged=event,
    )
    valence = (event.dimensions or {}).get(VALENCE)
    judgement = Judgement(
        event.start_ns,
        event.end_ns,
        emotion,
        event.confidence,
        event.abstained,
        valence.value if valence else None,
    )
    speakers = view.speakers if speaker in view.speaker_ids else (*view.speakers, Speaker(speaker, speaker))
    name = printable(event.speaker_name or "")
    return replace(
        _with(view, row),
        speakers=tuple(_add_judgement(one, judgement, name) if one.id == speaker else one for one in speakers),
        latencies=(*view.latencies, event.latency_ms)[-MAX_LATENCIES:],
        modalities=tuple((name, printable(use)) for name, use in event.modalities.items()),
        has_valence=view.has_valence or valence is not None,
        judged=view.judged + 1,
        unsure=view.unsure + event.abstained,
    )


def _add_judgement(speaker: Speaker, judgement: Judgement, name: str) -> Speaker:
    return replace(
        speaker,
        name=name or speaker.name,
        judgements=(*speaker.judgements, judgement)[-MAX_JUDGEMENTS:],
        turns=speaker.turns + 1,
        spoken_ns=speaker.spoken_ns + judgement.end_ns - judgement.start_ns,
    )


def _renamed(view: View, speaker: str, name: str) -> View:
    speaker = view.whose(speaker)
    speakers = view.speakers if speaker in view.speaker_ids else (*view.speakers, Speaker(speaker, speaker))
    return replace(view, speakers=tuple(replace(one, name=name) if one.id == speaker else one for one in speakers))


def _merged(view: View, speaker: str, into: str) -> View:
    into = view.whose(into)
    if speaker == into:
        return view
    parts = {one.id: one for one in view.speakers}
    if gone := parts.pop(speaker, None):
        parts[into] = _together(parts.get(into, Speaker(into, into)), gone)
    return replace(
        view,
        rows=tuple(replace(row, speaker=into) if row.speaker == speaker else row for row in view.rows),
        speakers=tuple(parts.values()),
        merged=(*view.merged, (speaker, into)),
    )


def _together(kept: Speaker, gone: Speaker) -> Speaker:
    """Two speakers as one, under the name of the one that is kept, or the other's where it was given none."""
    judgements = sorted((*kept.judgements, *gone.judgements), key=lambda one: one.start_ns)
    return replace(
        kept,
        name=gone.name if kept.name == kept.id and gone.name != gone.id else kept.name,
        judgements=tuple(judgements[-MAX_JUDGEMENTS:]),
        turns=kept.turns + gone.turns,
        spoken_ns=kept.spoken_ns + gone.spoken_ns,
    )


def _marked(view: View, at_ns: int, sentence: str) -> View:
    return replace(_reach(view, at_ns), marks=(*view.marks, Marker(at_ns, sentence))[-MAX_MARKS:])


def _reach(view: View, media_ns: int) -> View:
    return replace(view, reached_ns=max(view.reached_ns, media_ns))


def _with(view: View, row: Row) -> View:
    """Put a row at its place, over the one of the same turn if there is one."""
    rows = [other for other in view.rows if other.turn != row.turn]
    place = next((i for i in range(len(rows), 0, -1) if rows[i - 1].turn < row.turn), 0)
    rows.insert(place, row)
    over = max(0, len(rows) - MAX_ROWS)
    return replace(view, rows=tuple(rows[over:]), forgotten=view.forgotten + over)
