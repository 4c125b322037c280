"""Step 6: from records to published events: numbered, timed, counted, and handed to every sink's edge."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from adapters.contract import MODALITIES, LabelSet, Sentiment
from adapters.contract import Sound as Heard
from tracker.events import (
    Estimate,
    Event,
    Expression,
    Faces,
    Latency,
    ListeningPaused,
    ListeningResumed,
    MomentMarked,
    Outcome,
    Preview,
    RequestEvent,
    SessionEnded,
    SessionStarted,
    SkipReason,
    Sound,
    SpeakerMerged,
    SpeakerRenamed,
    Stamp,
    TurnEnded,
    TurnSkipped,
    TurnStarted,
    Word,
    request_of,
)
from tracker.observe.records import FailedTurn, SpokenWord
from tracker.observe.speakers import Merge
from tracker.observe.video.records import SpeakerFace
from tracker.observe.words import agreed
from tracker.recognise import JudgedTurn, SilentTurn
from tracker.runtime.clock import NS_PER_MS, NS_PER_S, Clock
from tracker.runtime.control import Mark, Pause, Rename, Request, Resume
from tracker.runtime.edges import Edge
from tracker.turns.turn import Turn, TurnOpened

Record = TurnOpened | JudgedTurn | SilentTurn | FailedTurn

_OVERLAP_NS = 300_000_000  # two voices for so long are more than a change of speaker brings with it


@dataclass(frozen=True, slots=True)
class SessionHeader:
    """What `session.started` says, known before the first sound."""

    source: str
    live: bool
    channels: int
    labels: LabelSet
    models: dict[str, str]
    software: str
    purpose: str = ""
    notice: str = ""


@dataclass(frozen=True, slots=True)
class SinkEdges:
    """The edges to one sink; a closed one has given up and is passed over.

    Attributes:
        events: Everything that is published, in order.
        previews: The latest preview.
    """

    events: Edge[Event]
    previews: Edge[Preview]

    def show(self, preview: Preview) -> None:
        """Send a preview where no event waits: none overtakes an event."""
        if not self.previews.closed and not self.events.depth:
            self.previews.send_nowait(preview)

    def close(self) -> None:
        """Let go of the sink."""
        self.events.close()
        self.previews.close()


class Publisher:
    """Makes events and hands them to the sinks; counts the session's turns.

    Args:
        stamp: Numbers and wall times.
        sinks: The edges to each sink.
        clock: For the latency of each turn.
        requests: What requests caused in an earlier run over the same media; each is published again once its number
            has come.
    """

    def __init__(
        self, stamp: Stamp, sinks: Sequence[SinkEdges], clock: Clock, requests: Sequence[RequestEvent] = ()
    ) -> None:
        self._stamp = stamp
        self._sinks = sinks
        self._clock = clock
        self._requests = deque(requests)
        self._open: dict[int, tuple[TurnOpened, int]] = {}  # with the number of its event
        self._names: dict[str, str] = {}
        self._merged: dict[str, str] = {}  # who turned out to be whom
        self._read = (0, "")  # the turn that was shown last, and its words so far
        self._one_at_a_time = anyio.Lock()  # a request may come between two sinks of another event
        self._started = self._ended = self._skipped = 0

    async def start(self, header: SessionHeader) -> None:
        """Publish the session's first event."""
        await self._send(
            SessionStarted(
                **self._stamp.header(),
                time=self._stamp.wall(0),
                source=header.source,
                live=header.live,
                channels=header.channels,
                labels=list(header.labels.labels),
                polarity=polarity_of(header.labels),
                models=header.models,
                software=header.software,
                purpose=header.purpose,
                notice=header.notice,
            )
        )

    async def request(self, request: Request, media_ns: int, paused_ns: int = 0) -> None:
        """Publish a user's request.

        Args:
            request: Any but `Stop`.
            media_ns: When it takes effect.
            paused_ns: With `Resume`: how long listening was paused.
        """
        async with self._one_at_a_time:
            if isinstance(request, Resume):
                self._stamp.paused(media_ns, paused_ns)
            header: dict[str, Any] = {
                **self._stamp.header(),
                "at_ns": media_ns,
                # after a pause, the wall time of the first nanosecond that is heard again
                "time": self._stamp.wall(media_ns + isinstance(request, Resume)),
            }
            match request:
                case Pause():
                    await self._send(ListeningPaused(**header))
                case Resume():
                    await self._send(ListeningResumed(**header, paused_ms=paused_ns / NS_PER_MS))
                case Mark(note):
                    await self._send(MomentMarked(**header, note=note))
                case Rename(speaker, name):
                    speaker = self._merged.get(speaker, speaker)
                    self._names[speaker] = name
                    await self._send(SpeakerRenamed(**header, speaker=speaker, name=name))

    async def publish(self, record: Record) -> None:
        """Publish what became of a turn."""
        while self._requests and self._requests[0].seq <= self._stamp.next:
            await self._repeat(self._requests.popleft())
        async with self._one_at_a_time:
            await self._publish(record)

    def preview(self, judged: JudgedTurn) -> None:
        """Show what a turn under way comes to so far to every sink that keeps up."""
        observed, turn, scores = judged.observed, judged.observed.turn, judged.scores
        if turn.number not in self._open:
            return
        number, before = self._read
        text = observed.transcript.text
        self._read = turn.number, text
        preview = Preview(
            **self._stamp.span(turn.start_ns, turn.end_ns),
            session=self._stamp.session,
            seq=self._open[turn.number][1],
            turn=turn.number,
            channel=turn.channel,
            speaker=observed.speaker,
            text=text,
            stable=agreed(before, text) if number == turn.number else "",
            emotion=scores.label,
            probabilities=dict(zip(scores.labels.labels, scores.probabilities, strict=True)),
            confidence=scores.confidence,
        )
        for sink in self._sinks:
            sink.show(preview)

    async def _publish(self, record: Record) -> None:
        match record:
            case TurnOpened():
                self._open[record.number] = record, self._stamp.next
                self._started += 1
                await self._send(
                    TurnStarted(
                        **self._stamp.header(),
                        turn=record.number,
                        channel=record.channel,
                        start_ns=record.start_ns,
                        start_time=self._stamp.wall(record.start_ns),
                    )
                )
            case JudgedTurn():
                await self._merge(record.turn, record.observed.merged)
                self._close(record.observed.turn)
                self._ended += 1
                await self._send(self._turn_ended(record))
            case SilentTurn():
                await self._merge(record.turn, record.observed.merged)
                await self._skip(record.observed.turn, "no_speech", record.detail)
            case FailedTurn():
                await self._merge(record.turn, record.merged)
                await self._skip(record.turn, "model_failed", record.detail)

    async def finish(self, outcome: Outcome, error: str | None, media_ns: int, dropped: dict[str, int]) -> SessionEnded:
        """Publish what is still open as skipped, then the session's last event, and let go of the sinks."""
        for opened, _ in list(self._open.values()):
            end_ns = max(media_ns, opened.start_ns)
            await self._send_skipped(opened.number, opened.channel, opened.start_ns, end_ns, "aborted", "session over")
        while self._requests:
            await self._repeat(self._requests.popleft())
        last = SessionEnded(
            **self._stamp.header(),
            time=self._stamp.wall(media_ns),
            outcome=outcome,
            error=error,
            media_ns=media_ns,
            turns_started=self._started,
            turns_ended=self._ended,
            turns_skipped=self._skipped,
            dropped=dropped,
        )
        await self._send(last)
        for sink in self._sinks:
            sink.close()
        return last

    async def _repeat(self, event: RequestEvent) -> None:
        paused_ms = event.paused_ms if isinstance(event, ListeningResumed) else 0
        await self.request(request_of(event), event.at_ns, round(paused_ms * NS_PER_MS))

    async def _send(self, event: Event) -> None:
        for sink in self._sinks:
            await sink.events.offer(event)

    async def _merge(self, turn: Turn, merged: Sequence[Merge]) -> None:
        """Two speakers were found to be one by the end of a turn."""
        at_ns = turn.end_ns
        for speaker, into in merged:
            self._merged = {one: into if who == speaker else who for one, who in self._merged.items()} | {speaker: into}
            if name := self._names.pop(speaker, None):
                self._names.setdefault(into, name)
            header = {**self._stamp.header(), "at_ns": at_ns, "time": self._stamp.wall(at_ns)}
            await self._send(SpeakerMerged(**header, speaker=speaker, into=into))

    def _close(self, turn: Turn) -> None:
        del self._open[turn.number]

    async def _skip(self, turn: Turn, reason: SkipReason, detail: str) -> None:
        await self._send_skipped(turn.number, turn.channel, turn.start_ns, turn.end_ns, reason, detail)

    async def _send_skipped(
        self, number: int, channel: int, start_ns: int, end_ns: int, reason: SkipReason, detail: str
    ) -> None:
        del self._open[number]
        self._skipped += 1
        header, span = self._stamp.header(), self._stamp.span(start_ns, end_ns)
        await self._send(TurnSkipped(**header, **span, turn=number, channel=channel, reason=reason, detail=detail))

    def _turn_ended(self, judged: JudgedTurn) -> TurnEnded:
        observed, turn, scores = judged.observed, judged.observed.turn, judged.scores
        took = observed.took_ms
        modalities = {name: scores.modalities[name] for name in MODALITIES}
        if observed.transcript.why_empty:
            modalities["text"] = observed.transcript.why_empty
        return TurnEnded(
            **self._stamp.header(),
            **self._stamp.span(turn.start_ns, turn.end_ns),
            turn=turn.number,
            channel=turn.channel,
            speaker=observed.speaker,
            speaker_name=self._names.get(observed.speaker, observed.person),
            ended_by=turn.ended_by,
            overlap=turn.overlap_ns >= _OVERLAP_NS,
            text=observed.transcript.text,
            language=observed.transcript.language,
            text_en=observed.transcript.text_en,
            words=_words(observed.transcript.words, turn.start_ns),
            sounds=_sounds(observed.sounds, turn),
            emotion=scores.label,
            mixed=list(scores.mixed),
            probabilities=dict(zip(scores.labels.labels, scores.probabilities, strict=True)),
            confidence=scores.confidence,
            abstained=scores.abstained is not None,
            abstained_reason=scores.abstained,
            sentiment=scores.sentiment,
            dimensions={
                name: Estimate(value=one.value, low=one.low, high=one.high) for name, one in scores.dimensions.items()
            }
            or None,
            modalities=modalities,
            faces=_faces(observed.face) if observed.face else None,
            latency_ms=Latency(
                endpoint=(turn.decided_ns - turn.end_ns) / NS_PER_MS,
                observe=took["observe"],
                transcribe=took["transcribe"],
                speaker=took["speaker"],
                recognise=judged.recognise_ms,
                total=(self._clock.now_ns() - turn.decided_at_ns) / NS_PER_MS,
            ),
        )


def polarity_of(labels: LabelSet) -> dict[str, dict[Sentiment, float]]:
    """How often each label goes with each sentiment, as it is published."""
    shares: dict[str, dict[Sentiment, float]] = {}
    for label, one in zip(labels.labels, labels.polarity, strict=True):
        every: dict[Sentiment, float] = {"negative": one.negative, "neutral": one.neutral, "positive": one.positive}
        shares[label] = {name: share for name, share in every.items() if share}
    return shares


def _sounds(sounds: Sequence[Heard], turn: Turn) -> list[Sound]:
    """In media time."""
    return [
        Sound(
            label=one.label,
            start_ns=turn.start_ns + round(one.start_s * NS_PER_S),
            end_ns=min(turn.end_ns, turn.start_ns + round(one.end_s * NS_PER_S)),
            confidence=one.confidence,
        )
        for one in sounds
    ]


def _words(words: Sequence[SpokenWord], from_ns: int) -> list[Word] | None:
    """In media time; None where no times were wanted."""
    return [
        Word(text=one.text, start_ns=from_ns + one.start_ns, end_ns=from_ns + one.end_ns, confidence=one.confidence)
        for one in words
    ] or None


def _faces(face: SpeakerFace) -> Faces:
    choice = face.choice
    course = [Expression(at_ns=one.at_ns, label=one.label) for one in face.course]
    return Faces(
        face=choice.track,
        chosen_by=choice.by,
        confidence=choice.confidence,
        count=choice.faces,
        pictures=face.frames,
        course=course,
    )
