"""Payloads that are published beside the events themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tracker.events import Probability, Sentiment, WallTime
from tracker.runtime.control import RequestName
from tracker.runtime.overload import Level


class _Payload(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal["emotion-tracker/1"] = Field(default="emotion-tracker/1", alias="schema")
    session: str


class Notice(_Payload):
    """Tells people that they are being listened to."""

    time: WallTime = Field(description="When the session began.")
    notice: str


class SpeakerEmotion(_Payload):
    """A speaker's emotion in the latest turn, without words."""

    seq: int = Field(ge=0, description="Number of the event in which it was judged.")
    speaker: str = Field(description="The speaker's id, as in the topic.")
    emotion: str
    confidence: Probability
    abstained: bool
    sentiment: Sentiment
    time: WallTime = Field(description="When the turn ended.")


class Percentiles(BaseModel):
    """How values lie."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    p50: float
    p95: float
    max: float


class Counters(_Payload):
    """How the publishing goes since the process began, and how the session goes."""

    session: str = ""
    turns: int = Field(default=0, ge=0, description="Judged turns given to be published.")
    delivered: int = Field(default=0, ge=0, description="Messages that the broker has acknowledged.")
    late: int = Field(default=0, ge=0, description="Those of them that an earlier run had left.")
    waiting: int = Field(default=0, ge=0, description="Messages that are not delivered yet.")
    dropped: int = Field(default=0, ge=0, description="Messages that were dropped for lack of room.")
    reconnects: int = Field(default=0, ge=0, description="Connections after the first one.")
    connected: bool = Field(default=False, description="Whether the broker is there.")
    skipped: int = Field(default=0, ge=0, description="Skipped turns.")
    media_s: float = Field(default=0, ge=0, description="Seconds of media heard.")
    stages_ms: dict[str, Percentiles] = Field(
        default={}, description="Milliseconds by stage over the last 1000 turns; stages as in latency_ms."
    )
    queues: dict[str, int] = Field(default={}, description="Items waiting, by edge.")
    dropped_items: dict[str, int] = Field(default={}, description="Items dropped, by edge; only edges that dropped.")
    fallbacks: int = Field(default=0, ge=0, description="Turns decoded again from the full window, in the process.")
    ahead_hits: int = Field(default=0, ge=0, description="Turns whose work was done ahead of their end.")
    ahead_wasted: int = Field(default=0, ge=0, description="Turns on which work ahead was for nothing.")
    ahead_wasted_ms: float = Field(default=0, ge=0, description="How long that took.")
    ahead_left_out: int = Field(default=0, ge=0, description="Pauses at which there was no time for it.")
    overload: Level = Field(default="normal", description="What is left out for lack of time.")
    waiting_turns: int = Field(default=0, ge=0, description="Turns that are over and not published, in the process.")
    real_time_factor: float = Field(default=0, ge=0, description="Processor seconds per second of media.")
    cpu_s: float = Field(default=0, ge=0, description="Processor seconds of the process since the session began.")
    rss_mb: float = Field(default=0, ge=0, description="Resident memory of the process, MB.")


class Reply(BaseModel):
    """The reply to a command."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: RequestName
    ok: bool = Field(description="Whether the command is accepted.")
    error: str | None = Field(description="Why not.")


def dumps(payload: BaseModel) -> str:
    """A payload as one line of JSON."""
    return payload.model_dump_json(by_alias=True)
