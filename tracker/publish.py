"""Step 6: from records to published events: numbered, timed, counted, and handed to every sink's edge."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import anyio

from adapters.contract import MODALITIES, EmotionScores
from tracker.events import (
    Asked,
    Event,
    Expression,
    Faces,
    Latency,
    ListeningPaused,
    ListeningResumed,
    MomentMarked,
    Outcome,
    Sentiment,
    SessionEnded,
    SessionStarted,
    SkipReason,
    SpeakerRenamed,
    Stamp,
    TurnEnded,
    TurnPartial,
    TurnSkipped,
    TurnStarted,
)
from tracker.observe.records import FailedTurn
from tracker.observe.video.records import SpeakerFace
from tracker.recognise import JudgedTurn, SilentTurn
from tracker.runtime.clock import NS_PER_MS, Clock
from tracker.runtime.edges import Edge
from tracker.turns.turn import Turn, TurnOpened

_SURPRISE_POSITIVE = 591 / 1205
"""Share of MELD's training utterances labelled surprise whose sentiment is positive; the others are negative."""

Record = TurnOpened | JudgedTurn | SilentTurn | FailedTurn


@dataclass(frozen=True, slots=True)
class SessionHeader:
    """What `session.started` says, known before the first sound."""

    source: str
    live: bool
    channels: int
    labels: tuple[str, ...]
    models: dict[str, str]
    software: str
    purpose: str = ""
    notice: str = ""


class Publisher:
    """Makes events and hands them to the sinks; keeps the books of the session.

    Args:
        stamp: Numbers and wall times.
        outlets: One edge per sink; a closed one has given up and is passed over.
        clock: For the latency of each turn.
        asked: What people asked for in an earlier run over the same media; each is published again once its number
            has come.
    """

    def __init__(self, stamp: Stamp, outlets: Sequence[Edge[Event]], clock: Clock, asked: Sequence[Asked] = ()) -> None:
        self._stamp = stamp
        self._outlets = outlets
        self._clock = clock
        self._asked = deque(asked)
        self._open: dict[int, tuple[TurnOpened, int]] = {}  # with the number of its event
        self._names: dict[str, str] = {}
        self._one_at_a_time = anyio.Lock()  # a user's wish may come between two sinks of another event
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
                labels=list(header.labels),
                models=header.models,
                software=header.software,
                purpose=header.purpose,
                notice=header.notice,
            )
        )

    async def pause(self, media_ns: int) -> None:
        """Publish that nothing is heard from here on."""
        async with self._one_at_a_time:
            await self._send(ListeningPaused(**self._stamp.header(), at_ns=media_ns, time=self._stamp.wall(media_ns)))

    async def resume(self, media_ns: int, paused_ns: int) -> None:
        """Publish that listening goes on after so long on the clock."""
        async with self._one_at_a_time:
            self._stamp.paused(media_ns, paused_ns)
            time = self._stamp.wall(media_ns + 1)  # the first nanosecond after the pause
            header, paused_ms = self._stamp.header(), paused_ns / NS_PER_MS
            await self._send(ListeningResumed(**header, at_ns=media_ns, time=time, paused_ms=paused_ms))

    async def mark(self, media_ns: int, note: str) -> None:
        """Publish that a user wants to find this moment again."""
        async with self._one_at_a_time:
            time = self._stamp.wall(media_ns)
            await self._send(MomentMarked(**self._stamp.header(), at_ns=media_ns, time=time, note=note))

    async def rename(self, media_ns: int, speaker: str, name: str) -> None:
        """Publish what to call a speaker, and call them so in later turns."""
        async with self._one_at_a_time:
            self._names[speaker] = name
            header, time = self._stamp.header(), self._stamp.wall(media_ns)
            await self._send(SpeakerRenamed(**header, at_ns=media_ns, time=time, speaker=speaker, name=name))

    async def publish(self, record: Record) -> None:
        """Publish what became of a turn."""
        while self._asked and self._asked[0].seq <= self._stamp.next:
            await self._again(self._asked.popleft())
        async with self._one_at_a_time:
            await self._publish(record)

    async def partial(self, judged: JudgedTurn) -> int:
        """Show what a turn under way comes to so far to every sink that has nothing else to do.

        Returns:
            How many sinks missed it.
        """
        observed, turn, scores = judged.observed, judged.observed.turn, judged.scores
        if turn.number not in self._open:
            return len(self._outlets)
        event = TurnPartial(
            **self._stamp.span(turn.start_ns, turn.end_ns),
            session=self._stamp.session,
            seq=self._open[turn.number][1],
            turn=turn.number,
            channel=turn.channel,
            speaker=observed.speaker,
            text=observed.transcript.text,
            emotion=scores.label,
            probabilities=dict(zip(scores.labels.labels, scores.probabilities, strict=True)),
            confidence=scores.confidence,
        )
        idle = [outlet for outlet in self._outlets if not outlet.closed and not outlet.depth]
        for outlet in idle:
            outlet.send_nowait(event)
        return len(self._outlets) - len(idle)

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
                self._close(record.observed.turn)
                self._ended += 1
                await self._send(self._turn_ended(record))
            case SilentTurn():
                await self._skip(record.observed.turn, "no_speech", record.detail)
            case FailedTurn():
                await self._skip(record.turn, "model_failed", record.detail)

    async def finish(self, outcome: Outcome, error: str | None, media_ns: int, dropped: dict[str, int]) -> SessionEnded:
        """Publish what is still open as skipped, then the session's last event, and let go of the sinks."""
        for opened, _ in list(self._open.values()):
            end_ns = max(media_ns, opened.start_ns)
            await self._send_skipped(opened.number, opened.channel, opened.start_ns, end_ns, "aborted", "session over")
        while self._asked:
            await self._again(self._asked.popleft())
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
        for outlet in self._outlets:
            outlet.close()
        return last

    async def _again(self, asked: Asked) -> None:
        match asked:
            case ListeningPaused():
                await self.pause(asked.at_ns)
            case ListeningResumed():
                await self.resume(asked.at_ns, round(asked.paused_ms * NS_PER_MS))
            case MomentMarked():
                await self.mark(asked.at_ns, asked.note)
            case SpeakerRenamed():
                await self.rename(asked.at_ns, asked.speaker, asked.name)

    async def _send(self, event: Event) -> None:
        for outlet in self._outlets:
            await outlet.offer(event)

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
            speaker_name=self._names.get(observed.speaker),
            ended_by=turn.ended_by,
            text=observed.transcript.text,
            language=observed.transcript.language,
            emotion=scores.label,
            probabilities=dict(zip(scores.labels.labels, scores.probabilities, strict=True)),
            confidence=scores.confidence,
            abstained=scores.abstained is not None,
            abstained_reason=scores.abstained,
            sentiment=sentiment(scores),
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


def _faces(face: SpeakerFace) -> Faces:
    choice = face.choice
    course = [Expression(at_ns=one.at_ns, label=one.label) for one in face.course]
    return Faces(
        face=choice.track,
        chosen_by=choice.by,
        confidence=choice.confidence,
        seen=choice.faces,
        pictures=face.frames,
        course=course,
    )


def sentiment(scores: EmotionScores) -> Sentiment:
    """The most probable of negative, neutral and positive, from the probabilities of MELD's emotions."""
    p = dict(zip(scores.labels.labels, scores.probabilities, strict=True))
    surprise = p["surprise"]
    masses: dict[Sentiment, float] = {
        "neutral": p["neutral"],
        "negative": p["fear"] + p["sadness"] + p["disgust"] + p["anger"] + surprise * (1 - _SURPRISE_POSITIVE),
        "positive": p["joy"] + surprise * _SURPRISE_POSITIVE,
    }
    return max(masses, key=lambda name: masses[name])
