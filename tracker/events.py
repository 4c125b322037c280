"""What subscribers see: ten kinds of flat, versioned events, the same for every sink and on disk.

A turn's life is ``turn.started`` and then exactly one of ``turn.ended`` and ``turn.skipped``. ``(session, seq)``
identifies an event; ``seq`` counts from 0 without gaps. Times come twice: media time in nanoseconds since the
session's start, and wall time as RFC 3339 in UTC. Media time stands still while listening is paused; wall time does
not.

A `Preview` is no event: it shows what a turn under way comes to so far, on a way of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from adapters.contract import Sentiment
from tracker.runtime.clock import wall_time
from tracker.runtime.control import Mark, Pause, Rename, Request, Resume
from tracker.runtime.unicode import as_unicode
from tracker.turns.segmenter import EndedBy

SCHEMA = "emotion-tracker/1"

Text = Annotated[str, AfterValidator(as_unicode)]
"""From outside: a file's name, a setting, a message."""
INT64_MAX = 2**63 - 1


def _real_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


# Limits beyond any real session: what reads events counts with them, and need not check them again.
Probability = Annotated[float, Field(ge=0, le=1)]
Affect = Annotated[float, Field(ge=-1, le=1)]
Count = Annotated[int, Field(ge=0, le=INT64_MAX)]
Ordinal = Annotated[int, Field(ge=1, le=INT64_MAX)]
Milliseconds = Annotated[float, Field(ge=0, le=1e12)]
MediaNs = Annotated[int, Field(ge=0, le=INT64_MAX, description="Nanoseconds of media since the session's start.")]
WallTime = Annotated[
    str,
    Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", description="RFC 3339, UTC, milliseconds."),
    AfterValidator(_real_time),
]
SkipReason = Literal["no_speech", "model_failed", "aborted"]
Outcome = Literal["completed", "stopped", "aborted", "failed"]


class _Published(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal["emotion-tracker/1"] = Field(default="emotion-tracker/1", alias="schema")
    session: str = Field(min_length=1, max_length=200, description="Session id, unique in the world.")
    seq: Count = Field(description="Counts the session's events from 0.")


class SessionStarted(_Published):
    """The first event: the source and the models."""

    type: Literal["session.started"] = "session.started"
    time: WallTime
    source: Text = Field(description="mic, stdin, or the file's name.")
    live: bool = Field(description="Whether the source is live and may have gaps.")
    channels: Ordinal = Field(description="Audio channels that are followed; more than 1 means one per speaker.")
    labels: list[str] = Field(description="The emotions, in the order of `probabilities`.")
    polarity: dict[str, dict[Sentiment, Probability]] = Field(
        description="How often each emotion goes with each sentiment; shares of 0 are left out."
    )
    models: dict[str, Text] = Field(description="What each part runs: transcriber, speaker, backbone, adapter.")
    software: str = Field(description="Name and version of the program.")
    purpose: Text = Field(default="", description="The declared purpose of the session; empty if none is.")
    notice: Text = Field(default="", description="What the people in the conversation are told.")


class TurnStarted(_Published):
    """A speaker has begun a turn."""

    type: Literal["turn.started"] = "turn.started"
    turn: Ordinal = Field(description="Counts the session's turns from 1.")
    channel: Count
    start_ns: MediaNs
    start_time: WallTime


class Latency(BaseModel):
    """Where the time went, in milliseconds. ``endpoint`` is media time, the others are measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: Milliseconds = Field(description="From the end of speech to the decision that the turn is over.")
    observe: Milliseconds = Field(description="Transcript, voice features and speaker, run together.")
    transcribe: Milliseconds
    speaker: Milliseconds
    recognise: Milliseconds = Field(description="Frozen LLM and adapter.")
    total: Milliseconds = Field(description="From the decision that the turn is over to this event.")


class Expression(BaseModel):
    """The expression of a face from a moment on, by the face network alone: a part of the evidence, no judgement."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_ns: MediaNs
    label: str


class Faces(BaseModel):
    """The face that was taken for the speaker's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    face: Ordinal = Field(description="Its number in the session.")
    chosen_by: Literal["only", "mouth", "speaker", "size"] = Field(
        description="It was the only one; its mouth moved with the voice; it was this speaker's before; the largest."
    )
    confidence: Probability = Field(
        description="Its share of the evidence; for an only face, the share of the pictures that it is in, less where "
        "it was rather another speaker's before."
    )
    count: Ordinal = Field(description="How many faces there were.")
    pictures: Ordinal = Field(description="How many pictures it was read in.")
    course: list[Expression] = Field(description="Its expression, listed whenever it changes.")


class Word(BaseModel):
    """One word of a turn, the marks after it included."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Text
    start_ns: MediaNs
    end_ns: MediaNs
    confidence: Probability = Field(description="The recogniser's probability of its tokens, on average.")


class Sound(BaseModel):
    """A sound beside words, to about half a second."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: Text = Field(description="laughter, crying, sigh, gasp, scream or cough.")
    start_ns: MediaNs
    end_ns: MediaNs
    confidence: Probability = Field(description="0.5 where the evidence just suffices.")


class Estimate(BaseModel):
    """Where a turn lies between the two ends of a dimension of affect, from -1 to 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Affect
    low: Affect = Field(description="The lower end of the interval that holds the truth as often as the card says.")
    high: Affect = Field(description="Its upper end.")


class TurnEnded(_Published):
    """One judged turn: who spoke, what was said, which emotion was expressed."""

    type: Literal["turn.ended"] = "turn.ended"
    turn: Ordinal
    channel: Count
    speaker: str = Field(description="The speaker's id in this session; a new name does not change it.")
    speaker_name: str | None = Field(
        default=None, description="The name that a user gave the speaker, or under which the voice is enrolled."
    )
    start_ns: MediaNs
    end_ns: MediaNs = Field(description="Where the speech ended, in media time.")
    start_time: WallTime
    end_time: WallTime
    ended_by: EndedBy = Field(description="What ended the turn.")
    overlap: bool = Field(
        default=False,
        description="Whether somebody else spoke at the same time for 0.3 s or more, as far as is known.",
    )
    text: Text = Field(description="What was said; empty where no words were recognised.")
    language: str = Field(description="BCP 47 tag of `text`.")
    text_en: Text | None = Field(
        default=None, description="The recogniser's English translation, where it was judged in place of `text`."
    )
    words: list[Word] | None = Field(
        default=None, description="The words with their times, where `transcribe.words` is set."
    )
    sounds: list[Sound] = Field(
        default=[], description="Laughter and the like; a turn with nothing else has no words and is judged by them."
    )
    emotion: str = Field(description="The most probable label, also where the judgement abstained.")
    mixed: list[str] = Field(
        default=[],
        description="The emotions that are nearly as probable as `emotion` (four fifths of it), it first; empty where "
        "it stands out.",
    )
    probabilities: dict[str, Probability]
    confidence: Probability = Field(description="Calibrated probability of `emotion`.")
    abstained: bool = Field(description="True where the evidence is too thin to act on.")
    abstained_reason: str | None
    sentiment: Sentiment
    dimensions: dict[str, Estimate] | None = Field(
        default=None,
        description="Valence (unpleasant to pleasant) and arousal (calm to excited) of the words, or what the adapters "
        "in `recognise.dimensions` tell; null where there are none, or no words.",
    )
    modalities: dict[Literal["text", "audio", "video"], str] = Field(description="`used`, or why it was not.")
    faces: Faces | None = Field(default=None, description="The speaker's face, where one was read.")
    latency_ms: Latency


class TurnSkipped(_Published):
    """A turn that was started and could not be judged."""

    type: Literal["turn.skipped"] = "turn.skipped"
    turn: Ordinal
    channel: Count
    start_ns: MediaNs
    end_ns: MediaNs
    start_time: WallTime
    end_time: WallTime
    reason: SkipReason
    detail: Text = Field(description="One sentence for people; never a transcript.")


class ListeningPaused(_Published):
    """A user has paused the session: no media is read from here on."""

    type: Literal["listening.paused"] = "listening.paused"
    at_ns: MediaNs
    time: WallTime


class ListeningResumed(_Published):
    """A user has resumed the session."""

    type: Literal["listening.resumed"] = "listening.resumed"
    at_ns: MediaNs
    time: WallTime
    paused_ms: Milliseconds = Field(description="How long the session was paused.")


class MomentMarked(_Published):
    """A user wants to find this moment again."""

    type: Literal["moment.marked"] = "moment.marked"
    at_ns: MediaNs
    time: WallTime
    note: Text = Field(description="What the user wrote about it; may be empty.")


class SpeakerRenamed(_Published):
    """A user has named a speaker; later turns carry the name, earlier events keep theirs."""

    type: Literal["speaker.renamed"] = "speaker.renamed"
    at_ns: MediaNs
    time: WallTime
    speaker: str = Field(description="The speaker's id.")
    name: str = Field(min_length=1, max_length=80)


class SpeakerMerged(_Published):
    """Two speakers turned out to be one: the turns of the first are the second's, also in earlier events."""

    type: Literal["speaker.merged"] = "speaker.merged"
    at_ns: MediaNs
    time: WallTime
    speaker: str = Field(description="The id that is no more.")
    into: str = Field(description="The id that stays.")


class SessionEnded(_Published):
    """The last event: how the session ended, and its counters."""

    type: Literal["session.ended"] = "session.ended"
    time: WallTime = Field(description="Wall time of the end of the media.")
    outcome: Outcome
    error: Text | None = Field(description="Why the session failed, in one sentence.")
    media_ns: MediaNs = Field(description="Length of the media.")
    turns_started: Count
    turns_ended: Count
    turns_skipped: Count
    dropped: dict[str, Count] = Field(description="Items dropped, by edge; only edges that dropped.")


class Preview(_Published):
    """What a turn under way comes to so far: whether one comes depends on the machine, and none is recorded.

    A sink that is busy may miss it. ``seq`` is that of the turn's ``turn.started``.
    """

    type: Literal["turn.partial"] = "turn.partial"
    turn: Ordinal
    channel: Count
    speaker: str = Field(description="The speaker so far; the end of the turn may decide otherwise.")
    start_ns: MediaNs
    end_ns: MediaNs = Field(description="How far the turn was heard, in media time.")
    start_time: WallTime
    end_time: WallTime
    text: Text = Field(description="What was said so far.")
    stable: Text = Field(default="", description="The beginning of `text` on which two readings in a row agree.")
    emotion: str
    probabilities: dict[str, Probability]
    confidence: Probability


Event = (
    SessionStarted
    | TurnStarted
    | TurnEnded
    | TurnSkipped
    | ListeningPaused
    | ListeningResumed
    | MomentMarked
    | SpeakerRenamed
    | SpeakerMerged
    | SessionEnded
)
RequestEvent = ListeningPaused | ListeningResumed | MomentMarked | SpeakerRenamed
"""What a request caused, not the media."""

_ANY: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])
_E = TypeVar("_E", bound=_Published)


def to_json(event: Event | Preview) -> str:
    """One event as one line of JSON without the newline."""
    return event.model_dump_json(by_alias=True)


def without_words(event: _E) -> _E:
    """The event without what was said."""
    nothing = {"text": "", "stable": "", "text_en": None, "words": None}
    return event.model_copy(update={name: nothing[name] for name in nothing if name in type(event).model_fields})


def with_merged_speakers(events: Iterable[Event]) -> list[Event]:
    """The events of a session, each turn and name with the speaker that it turned out to be of."""
    events = list(events)
    into = {event.speaker: event.into for event in events if isinstance(event, SpeakerMerged)}

    def stays(speaker: str) -> str:
        seen = {speaker}
        while (speaker := into.get(speaker, speaker)) not in seen:
            seen.add(speaker)
        return speaker

    return [
        event.model_copy(update={"speaker": stays(event.speaker)})
        if isinstance(event, TurnEnded | SpeakerRenamed) and event.speaker in into
        else event
        for event in events
    ]


def request_of(event: RequestEvent) -> Request:
    """The request that an event follows from, so that a re-run can make it again."""
    match event:
        case ListeningPaused():
            return Pause()
        case ListeningResumed():
            return Resume()
        case MomentMarked():
            return Mark(event.note)
        case SpeakerRenamed():
            return Rename(event.speaker, event.name)


def from_json(line: str | bytes) -> Event:
    """The event in one line of JSON.

    Raises:
        pydantic.ValidationError: The line is not an event of this schema version.
    """
    return _ANY.validate_json(line)


def preview_from_json(line: str | bytes) -> Preview:
    """The preview in one line of JSON.

    Raises:
        pydantic.ValidationError: The line is no preview of this schema version.
    """
    return Preview.model_validate_json(line)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of any event; that of a preview is its definition ``Preview``."""
    schema = _ANY.json_schema(by_alias=True, mode="serialization")
    schema["$defs"]["Preview"] = Preview.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA, "title": "Event", **schema}


def dumps_schema() -> str:
    """The JSON Schema as text, as ``tracker schema`` prints it."""
    return json.dumps(json_schema(), indent=2)


class Stamp:
    """Numbers a session's events and turns media time into wall time.

    Args:
        session: The session's id.
        started_at: Wall time of media time 0, with a time zone.
    """

    def __init__(self, session: str, started_at: datetime) -> None:
        self.session = session
        self._started_at = started_at
        self._seq = 0
        self._pauses: list[tuple[int, int]] = []

    def paused(self, media_ns: int, paused_ns: int) -> None:
        """Nothing was heard for a while: what lies after this media time is so much later on the wall."""
        self._pauses.append((media_ns, paused_ns))

    def header(self) -> dict[str, Any]:
        """The fields that every event carries; each call takes the next number."""
        seq, self._seq = self._seq, self._seq + 1
        return {"session": self.session, "seq": seq}

    @property
    def next(self) -> int:
        """The number of the next event."""
        return self._seq

    def wall(self, media_ns: int) -> str:
        """The wall time of a media time."""
        paused_ns = sum(paused for at, paused in self._pauses if media_ns > at)
        return wall_time(self._started_at, media_ns + paused_ns)

    def span(self, start_ns: int, end_ns: int) -> dict[str, Any]:
        """Start and end in both kinds of time."""
        return {
            "start_ns": start_ns,
            "end_ns": end_ns,
            "start_time": self.wall(start_ns),
            "end_time": self.wall(end_ns),
        }
