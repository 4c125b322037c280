"""Whole sessions of events: a scripted one to look at, and a hypothesis strategy for any other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import anyio.lowlevel
from hypothesis import strategies as st

from adapters.contract import MELD_LABELS, LabelSet
from tests.support.fakes import STARTED_AT
from tracker.events import (
    Estimate,
    Event,
    Latency,
    ListeningPaused,
    ListeningResumed,
    MomentMarked,
    SessionEnded,
    SessionStarted,
    Sound,
    SpeakerMerged,
    SpeakerRenamed,
    Stamp,
    TurnEnded,
    TurnSkipped,
    TurnStarted,
    Word,
)
from tracker.publish import polarity_of
from tracker.runtime.clock import NS_PER_S

LABELS = list(MELD_LABELS.labels)


class Script:
    """Writes a session's events, numbered and timed as the publisher does it."""

    def __init__(self, session: str = "s-1", labels: LabelSet = MELD_LABELS) -> None:
        self.stamp = Stamp(session, STARTED_AT)
        self.labels = labels
        self.events: list[Event] = []
        self._turns = self._ended = self._skipped = 0

    def start(self, source: str = "telephone.wav", channels: int = 1, live: bool = False) -> Script:
        self.events.append(
            SessionStarted(
                **self.stamp.header(), time=self.stamp.wall(0), source=source, live=live, channels=channels,
                labels=list(self.labels.labels), polarity=polarity_of(self.labels),
                models={"transcriber": "whisper-tiny.en", "adapter": "meld-1"}, software="emotion-tracker 0.1.0",
            )
        )  # fmt: skip
        return self

    def opens(self, start_s: float, channel: int = 0) -> int:
        self._turns += 1
        start_ns = round(start_s * NS_PER_S)
        self.events.append(
            TurnStarted(
                **self.stamp.header(), turn=self._turns, channel=channel, start_ns=start_ns,
                start_time=self.stamp.wall(start_ns),
            )
        )  # fmt: skip
        return self._turns

    def says(
        self, start_s: float, end_s: float, speaker: str, text: str, emotion: str = "neutral", confidence: float = 0.6,
        unsure: str | None = None, channel: int = 0, turn: int | None = None, name: str | None = None,
        words: Sequence[tuple[str, float, float]] | None = None, dimensions: Mapping[str, float] | None = None,
        sounds: Sequence[str] = (), mixed: Sequence[str] = (),
    ) -> Script:  # fmt: skip
        turn = turn or self.opens(start_s, channel)
        self._ended += 1
        labels, rest = self.labels.labels, (1 - confidence) / (len(self.labels) - 1)
        self.events.append(
            TurnEnded(
                **self.stamp.header(), **self.stamp.span(round(start_s * NS_PER_S), round(end_s * NS_PER_S)),
                turn=turn, channel=channel, speaker=speaker, speaker_name=name, ended_by="pause", text=text,
                language="en",
                words=None if words is None else [
                    Word(text=word, start_ns=round(a * NS_PER_S), end_ns=round(b * NS_PER_S), confidence=0.9)
                    for word, a, b in words
                ],
                sounds=[
                    Sound(
                        label=label, start_ns=round(start_s * NS_PER_S), end_ns=round(end_s * NS_PER_S), confidence=0.9
                    )
                    for label in sounds
                ],
                mixed=list(mixed),
                emotion=emotion, probabilities={name: confidence if name == emotion else rest for name in labels},
                dimensions=None if dimensions is None else {
                    of: Estimate(value=value, low=max(-1, value - 0.3), high=min(1, value + 0.3))
                    for of, value in dimensions.items()
                },
                confidence=confidence, abstained=unsure is not None, abstained_reason=unsure, sentiment="neutral",
                modalities={"text": "used", "audio": "used", "video": "no camera"},
                latency_ms=Latency(endpoint=500, observe=120, transcribe=110, speaker=20, recognise=60, total=200),
            )
        )  # fmt: skip
        return self

    def skips(self, start_s: float, end_s: float, detail: str = "no words recognised") -> Script:
        turn = self.opens(start_s)
        self._skipped += 1
        self.events.append(
            TurnSkipped(
                **self.stamp.header(), **self.stamp.span(round(start_s * NS_PER_S), round(end_s * NS_PER_S)),
                turn=turn, channel=0, reason="no_speech", detail=detail,
            )
        )  # fmt: skip
        return self

    def _now(self, at_s: float) -> dict[str, Any]:
        at_ns = round(at_s * NS_PER_S)
        return {**self.stamp.header(), "at_ns": at_ns, "time": self.stamp.wall(at_ns)}

    def pauses(self, at_s: float) -> Script:
        self.events.append(ListeningPaused(**self._now(at_s)))
        return self

    def resumes(self, at_s: float, paused_ms: float) -> Script:
        self.events.append(ListeningResumed(**self._now(at_s), paused_ms=paused_ms))
        return self

    def marks(self, at_s: float, note: str = "") -> Script:
        self.events.append(MomentMarked(**self._now(at_s), note=note))
        return self

    def renames(self, at_s: float, speaker: str, name: str) -> Script:
        self.events.append(SpeakerRenamed(**self._now(at_s), speaker=speaker, name=name))
        return self

    def merges(self, at_s: float, speaker: str, into: str) -> Script:
        self.events.append(SpeakerMerged(**self._now(at_s), speaker=speaker, into=into))
        return self

    def end(self, media_s: float, **changed: object) -> list[Event]:
        media_ns = round(media_s * NS_PER_S)
        last = SessionEnded(
            **self.stamp.header(), time=self.stamp.wall(media_ns), outcome="completed", error=None, media_ns=media_ns,
            turns_started=self._turns, turns_ended=self._ended, turns_skipped=self._skipped, dropped={},
        )  # fmt: skip
        self.events.append(last.model_copy(update=changed))
        return self.events


def conversation(session: str = "s-1") -> list[Event]:
    """Two people on the telephone."""
    script = Script(session).start()
    script.says(0.4, 1.2, "Speaker 1", "Hello?", "neutral", 0.71)
    script.says(1.5, 3.4, "Speaker 2", "Oh, hello. I didn't know you were there.", "surprise", 0.58)
    script.says(3.9, 4.4, "Speaker 1", "Neither did I.", "joy", 0.36, unsure="turn under 0.8 s")
    script.skips(5.0, 5.6)
    return script.end(6.5)


async def given_out(events: Iterable[Event]) -> AsyncIterator[Event]:
    """Events as a sink gets them."""
    for event in events:
        await anyio.lowlevel.checkpoint()
        yield event


@st.composite
def sessions(draw: st.DrawFn) -> list[Event]:
    """Any session: turns that follow or overlap, judged, unsure or skipped, with any words."""
    script = Script().start(channels=draw(st.integers(1, 3)), live=draw(st.booleans()))
    seconds = st.integers(0, 20_000).map(lambda ms: ms / 1000)
    now = 0.0
    for _ in range(draw(st.integers(0, 6))):
        start, length = now + draw(seconds), draw(seconds)
        match draw(st.integers(0, 9)):
            case 0:
                script.marks(start, draw(st.text(max_size=20)))
            case 1:
                script.renames(start, f"Speaker {draw(st.integers(1, 4))}", draw(st.text(min_size=1, max_size=20)))
            case 2:
                script.pauses(start).resumes(start, 1000.0)
        if draw(st.booleans()):
            script.skips(start, start + length, detail=draw(st.text(max_size=30)))
        else:
            text = draw(st.text(max_size=60))
            script.says(
                start, start + length, f"Speaker {draw(st.integers(1, 4))}", text,
                draw(st.sampled_from(LABELS)), draw(st.floats(0, 1)), draw(st.none() | st.just("too short")),
                words=[(word, start + draw(seconds), start + draw(seconds)) for word in text.split()] or None
                if draw(st.booleans()) else None,
            )  # fmt: skip
        now = start if draw(st.booleans()) else start + length
    return script.end(now, outcome=draw(st.sampled_from(["completed", "stopped", "aborted", "failed"])))


def bare(event: Event) -> dict[str, Any]:
    """An event without its session's id, wall times and latencies: the same for the same media, config and models."""
    varying = {"session", "time", "start_time", "end_time", "paused_ms", "latency_ms"}
    return {name: value for name, value in event.model_dump(mode="json", by_alias=True).items() if name not in varying}
