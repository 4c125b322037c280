"""The metrics of a session, declared once: the JSON line, the MQTT payload, Prometheus and the dashboard follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tracker.metrics.percentiles import Percentiles
from tracker.runtime.overload import LEVELS, Level


@dataclass(frozen=True, slots=True)
class Series:
    """How Prometheus exposes a metric.

    Attributes:
        kind: A counter only ever grows.
        name: Without the prefix; the field's own name where empty.
        labels: What the keys of a mapping are, outermost first.
    """

    kind: Literal["counter", "gauge"]
    name: str = ""
    labels: tuple[str, ...] = ()


_COUNTER, _GAUGE = Series("counter"), Series("gauge")


class SessionMetrics(BaseModel):
    """The metrics of one session at one moment; a field's suffix is its unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    turns: Annotated[int, _COUNTER] = Field(default=0, ge=0, description="Judged turns.")
    skipped: Annotated[int, _COUNTER] = Field(default=0, ge=0, description="Skipped turns.")
    media_s: Annotated[float, Series("gauge", "media_seconds")] = Field(
        default=0, ge=0, description="Seconds of media heard."
    )
    stages_ms: Annotated[dict[str, Percentiles], Series("gauge", "stage_milliseconds", ("stage", "of"))] = Field(
        default={}, description="Milliseconds by stage over the last 1000 turns; stages as in latency_ms."
    )
    queues: Annotated[dict[str, int], Series("gauge", "queue_items", ("queue",))] = Field(
        default={}, description="Items waiting, by queue."
    )
    dropped: Annotated[dict[str, int], Series("counter", labels=("queue",))] = Field(
        default={}, description="Items dropped, by queue, and samples that the source lost; only what was dropped."
    )
    messages_refused: Annotated[int, _COUNTER] = Field(default=0, ge=0, description="Messages that the broker refused.")
    fallbacks: Annotated[int, _COUNTER] = Field(
        default=0, ge=0, description="Turns decoded again from the full window, in the process."
    )
    speculation_hits: Annotated[int, _COUNTER] = Field(
        default=0, ge=0, description="Turns whose result was ready by speculation before their end."
    )
    speculation_wasted: Annotated[int, _COUNTER] = Field(
        default=0, ge=0, description="Turns on which speculation was wasted."
    )
    speculation_wasted_ms: Annotated[float, Series("counter", "speculation_wasted_milliseconds")] = Field(
        default=0, ge=0, description="Milliseconds of wasted speculation."
    )
    speculation_left_out: Annotated[int, _COUNTER] = Field(
        default=0, ge=0, description="Pauses at which there was no time for speculation."
    )
    overload: Annotated[Level, _GAUGE] = Field(
        default="normal",
        description=f"What is left out for lack of time; for Prometheus 0 to 3: {', '.join(LEVELS)}.",
    )
    waiting_turns: Annotated[int, _GAUGE] = Field(
        default=0, ge=0, description="Turns of the process that are over and not yet published."
    )
    real_time_factor: Annotated[float, _GAUGE] = Field(
        default=0, ge=0, description="Processor seconds of the process per second of this session's media."
    )
    cpu_s: Annotated[float, Series("counter", "cpu_seconds")] = Field(
        default=0, ge=0, description="Processor seconds of the process since the session began."
    )
    rss_mb: Annotated[float, _GAUGE] = Field(default=0, ge=0, description="Resident memory of the process, MB.")
