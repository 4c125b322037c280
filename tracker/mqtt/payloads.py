"""Payloads that are published beside the events themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from adapters.contract import Sentiment
from tracker.events import Estimate, Probability, Text, WallTime
from tracker.metrics.model import SessionMetrics
from tracker.runtime.control import RequestName


class _Payload(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal["emotion-tracker/1"] = Field(default="emotion-tracker/1", alias="schema")
    session: str


class Notice(_Payload):
    """Tells people that they are being listened to."""

    time: WallTime = Field(description="When the session began.")
    notice: Text


class SpeakerEmotion(_Payload):
    """A speaker's emotion in the latest turn, without words."""

    seq: int = Field(ge=0, description="Number of the event in which it was judged.")
    speaker: str = Field(description="The speaker's id, as in the topic.")
    emotion: str
    confidence: Probability
    abstained: bool
    sentiment: Sentiment
    dimensions: dict[str, Estimate] | None = Field(default=None, description="As in the turn's own event.")
    sounds: list[str] = Field(default=[], description="Laughter and the like in it, each kind once, the first first.")
    time: WallTime = Field(description="When the turn ended.")


class PublishedMetrics(SessionMetrics, _Payload):
    """The session's metrics, and how publishing has gone since the process began."""

    session: str = ""
    messages_delivered: int = Field(default=0, ge=0, description="Messages that the broker has acknowledged.")
    messages_late: int = Field(default=0, ge=0, description="Those of them that an earlier run had left.")
    messages_waiting: int = Field(default=0, ge=0, description="Messages that are not delivered yet.")
    messages_dropped: int = Field(default=0, ge=0, description="Messages that were dropped for lack of room.")
    reconnects: int = Field(default=0, ge=0, description="Connections after the first one.")
    connected: bool = Field(default=False, description="Whether the broker is connected.")


class Reply(BaseModel):
    """The reply to a command."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: RequestName
    ok: bool = Field(description="Whether the command is accepted.")
    error: str | None = Field(description="Why not.")


def dumps(payload: BaseModel) -> str:
    """A payload as one line of JSON."""
    return payload.model_dump_json(by_alias=True)
