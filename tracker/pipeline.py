"""The page: the whole path of a session, in the order in which data moves.

    source ─chunks→ segment ─turns→ observe ─observed→ recognise ─judged→ publish ─events→ every sink
    video ─watch→ frames ────────────┘

Each arrow is a bounded edge. A turn's opening travels down the same edges as the turn itself, so the order of events
depends on the media alone, not on how fast the machine is. When the source ends (by itself, because it was asked to,
or because it was lost), each step finishes what it has and closes its edge: that is how a session drains. The sinks
outlive the path by one event, the session's outcome, which is known only once the path has ended.

Beside the path, where speech pauses, the same steps work speculatively on what may be a turn (`tracker.speculate`).
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import anyio

from tracker.errors import SourceError, sentence_of
from tracker.events import Asked, Event, Outcome, SessionEnded, Stamp
from tracker.metrics.gauges import Gauges
from tracker.observe.records import FailedTurn, ObservedTurn
from tracker.observe.video.buffer import FrameBuffer
from tracker.observe.video.watcher import NoVideoWatcher, VideoWatcher
from tracker.publish import Publisher, Record, SessionHeader
from tracker.recognise import JudgedTurn, SilentTurn
from tracker.runtime.clock import Clock
from tracker.runtime.control import Control
from tracker.runtime.edges import Edge, Policy
from tracker.runtime.threads import ModelThread
from tracker.sinks import Sink
from tracker.sinks.deliver import MAY_TAKE_S, deliver
from tracker.sources.media import AudioChunk, Source
from tracker.sources.resample import as_recorded
from tracker.speculate import Speculation, SpeculativeSteps
from tracker.steering import Steering
from tracker.turns.segment import TurnSegmenter
from tracker.turns.turn import Turn, TurnOpened, TurnPaused, TurnRecord, TurnResumed

_CHUNKS = 500  # ten seconds of 20 ms
_AT_ONCE = 10  # chunks that are cut in one visit to the thread, where so many wait
_BEHIND = 10  # chunks waiting: no speculation
_TURNS = 32  # at 20 s each, 40 MB
_EVENTS = 10_000


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one session, loaded and ready.

    Attributes:
        segmenter: Sound into turns.
        observe: What can be found out about a turn.
        recognise: The emotion that it expressed.
        speculative: The same before a turn is over; None without speculation.
        watcher: Reads the faces of the session's video, beside its audio.
        frames: Keeps them until their turn is observed.
    """

    segmenter: TurnSegmenter
    observe: Callable[[Turn], Awaitable[ObservedTurn | FailedTurn]]
    recognise: Callable[[ObservedTurn], Awaitable[JudgedTurn | SilentTurn | FailedTurn]]
    speculative: SpeculativeSteps | None = None
    watcher: VideoWatcher = field(default_factory=NoVideoWatcher)
    frames: FrameBuffer = field(default_factory=lambda: FrameBuffer(None))


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where a session goes.

    Attributes:
        sinks: Take the events.
        record_audio: Takes the audio as it was heard, or None.
        report: Says one sentence to the user.
        gauges: What a display may look at meanwhile.
    """

    sinks: Sequence[Sink]
    record_audio: Callable[[AsyncIterable[AudioChunk]], Awaitable[None]] | None
    report: Callable[[str], None]
    gauges: Gauges = field(default_factory=Gauges)


@dataclass(frozen=True, slots=True)
class _Silence:
    """Travels among the chunks where listening was paused: the turns under way end here."""


async def run(
    source: Source,
    steps: Callable[[int], Steps],
    outlets: Outlets,
    header: Callable[[Source], SessionHeader],
    stamp: Callable[[], Stamp],
    clock: Clock,
    control: Control,
    asked: Sequence[Asked] = (),
    ended_as: Literal["completed", "stopped"] = "completed",
    may_speculate: Callable[[], bool] = lambda: True,
) -> SessionEnded:
    """Run one session from the first sample to its outcome.

    Args:
        source: Opened here.
        steps: Makes the steps of this session, for so many channels.
        outlets: A sink that fails is reported and left behind.
        header: Describes the session once the source is open.
        stamp: Called once, when the source is open: media time 0 is now.
        clock: The monotonic clock.
        control: Pauses, marks, renames; ends the session early.
        asked: What was asked for in an earlier run over the same media.
        ended_as: What it means that the source has ended by itself; a recording ends where its session was stopped.
        may_speculate: Asked at each pause of speech: whether there is time for speculation.

    Returns:
        The session's last event.

    Raises:
        SourceError: The source could not be opened (nothing was published) or was lost (all heard was published).
        Exception: A step failed; what was judged until then was published.
    """
    async with source.open() as chunks, anyio.create_task_group() as sinking:
        to_sinks: list[Edge[Event]] = [Edge(sink.name, _EVENTS, _policy(source)) for sink in outlets.sinks]
        audio: Edge[AudioChunk] = Edge("recording", 3 * _CHUNKS, _policy(source))
        for sink, events in zip(outlets.sinks, to_sinks, strict=True):
            sinking.start_soon(deliver, sink.name, sink.run, events, outlets.report, name=f"sink {sink.name}")
        if outlets.record_audio:
            sinking.start_soon(deliver, "recorder", outlets.record_audio, audio, outlets.report, name="record audio")
        else:
            audio.close()
        publisher = Publisher(stamp(), to_sinks, clock, asked)
        await publisher.start(header(source))

        ready = steps(source.channels)
        path = _Path(source, ready, publisher, audio, clock, outlets.gauges, may_speculate)
        outlets.gauges.follow(source, [*path.edges, audio] if outlets.record_audio else path.edges, to_sinks)
        outlets.gauges.video = ready.watcher.state
        async with anyio.create_task_group() as watching:
            watching.start_soon(path.watch, control, name="control")
            await path.follow(chunks)
            watching.cancel_scope.cancel()
        outlets.gauges.end()

        edges: list[Edge[Any]] = [*path.edges, audio, *to_sinks]
        dropped = {edge.name: edge.dropped for edge in edges if edge.dropped}
        if source.dropped:
            dropped["samples"] = source.dropped
        if left_out := ready.watcher.state().dropped + ready.frames.dropped:
            dropped["pictures"] = left_out
        error = sentence_of(path.failure) if path.failure else None
        last = await publisher.finish(path.outcome(control, ended_as), error, ready.segmenter.media_ns, dropped)
        sinking.cancel_scope.deadline = anyio.current_time() + MAY_TAKE_S
    if path.failure:
        raise path.failure
    return last


class _Path:
    """The steps from chunks to published events, and what became of them."""

    def __init__(
        self,
        source: Source,
        steps: Steps,
        publisher: Publisher,
        audio: Edge[AudioChunk],
        clock: Clock,
        gauges: Gauges,
        may_speculate: Callable[[], bool],
    ) -> None:
        self._steps = steps
        self._publisher = publisher
        self._audio = audio
        self._clock = clock
        self._gauges = gauges
        self._scope = anyio.CancelScope()
        self._chunks: Edge[AudioChunk | _Silence] = Edge("chunks", _CHUNKS, _policy(source))
        self._turns: Edge[TurnOpened | Turn] = Edge("turns", _TURNS)
        self._observed: Edge[TurnOpened | ObservedTurn | FailedTurn] = Edge("observed", _TURNS)
        self._judged: Edge[Record] = Edge("judged", _TURNS)
        self.edges: list[Edge[Any]] = [self._chunks, self._turns, self._observed, self._judged]
        self._steering = Steering(
            source, steps.watcher, publisher, lambda: self._chunks.offer(_Silence()), clock, gauges
        )
        self._in_hand = 0  # turns that are over and not yet published
        self._may_speculate = may_speculate
        self._speculation: Speculation | None = None
        if steps.speculative:
            self._speculation = Speculation(steps.speculative, clock, self._has_time, gauges.ahead, self._tell)
        self.failure: Exception | None = None

    async def follow(self, chunks: AsyncIterator[AudioChunk]) -> None:
        """Run every step until the source has ended and all is published, or until aborted."""
        try:
            with self._scope:
                async with anyio.create_task_group() as path:
                    path.start_soon(self._listen, chunks, name="listen")
                    path.start_soon(self._steps.watcher.watch, name="watch")
                    path.start_soon(self._segment, name="segment")
                    path.start_soon(self._observe, name="observe")
                    path.start_soon(self._recognise, name="recognise")
                    path.start_soon(self._publish, name="publish")
                    if self._speculation:
                        path.start_soon(self._speculation.run, name="speculate")
        except ExceptionGroup as failures:
            self.failure = failures.exceptions[0]

    async def watch(self, control: Control) -> None:
        """Do what the user asks for."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._steering.follow, control, name="requests")
            await control.drained.wait()
            self._steering.stop()
            await control.aborted.wait()
            self._scope.cancel()

    def outcome(self, control: Control, ended_as: Outcome) -> Outcome:
        """How the path ended."""
        if self.failure:
            return "failed"
        if control.aborted.is_set():
            return "aborted"
        return "stopped" if control.drained.is_set() else ended_as

    async def _listen(self, chunks: AsyncIterator[AudioChunk]) -> None:
        try:
            async for chunk in chunks:
                await self._steering.listening()
                chunk = as_recorded(chunk)
                self._steering.heard_ns = max(self._steering.heard_ns, chunk.end_ns)
                self._gauges.hear(chunk)
                self._steps.watcher.audio_reached(chunk.end_ns)
                await self._audio.offer(chunk)
                await self._chunks.send(chunk)
        except SourceError as lost:
            self.failure = lost  # what was heard until now is finished as in any other session
        finally:
            self._chunks.close()
            self._audio.close()

    async def _segment(self) -> None:
        segmenter, thread = self._steps.segmenter, ModelThread(self._clock)

        def cut(heard: Sequence[AudioChunk | _Silence]) -> list[TurnRecord]:
            pieces = (segmenter.finish() if isinstance(one, _Silence) else segmenter.feed(one) for one in heard)
            return [record for piece in pieces for record in piece]

        async def pass_on(heard: Sequence[AudioChunk | _Silence]) -> None:
            records = (await thread.run(lambda: cut(heard))).result
            self._steps.frames.follow(records, segmenter.media_ns)
            for record in records:
                await self._cut(record)

        try:
            async for heard in self._chunks.batches(_AT_ONCE):
                await pass_on(heard)
            await pass_on([_Silence()])
        finally:
            self._turns.close()
            if self._speculation:
                self._speculation.close()

    async def _cut(self, record: TurnRecord) -> None:
        match record:
            case TurnOpened():
                await self._turns.send(record)
            case TurnPaused(turn):
                if self._speculation:
                    self._speculation.turn_paused(turn)
            case TurnResumed(number):
                if self._speculation:
                    self._speculation.turn_resumed(number)
            case Turn():
                if self._speculation:
                    self._speculation.turn_ended(record)
                self._in_hand += 1
                record = replace(record, decided_at_ns=self._clock.now_ns())
                self._gauges.over(record)
                await self._turns.send(record)

    def _has_time(self) -> bool:
        """Whether nothing waits; an earlier turn would also change the speculative result."""
        return self._in_hand == 0 and self._chunks.depth < _BEHIND and self._may_speculate()

    async def _tell(self, partial: JudgedTurn) -> int:
        """Publish what a turn under way comes to; returns how many missed it, one where there is no time for it."""
        return await self._publisher.partial(partial) if self._gauges.may_tell_partials() else 1

    async def _observe(self) -> None:
        try:
            async for record in self._turns:
                observed = await self._steps.observe(record) if isinstance(record, Turn) else record
                await self._observed.send(observed)
        finally:
            self._observed.close()
            self._steps.watcher.stop()

    async def _recognise(self) -> None:
        try:
            async for record in self._observed:
                judged = await self._steps.recognise(record) if isinstance(record, ObservedTurn) else record
                await self._judged.send(judged)
        finally:
            self._judged.close()

    async def _publish(self) -> None:
        async for record in self._judged:
            await self._publisher.publish(record)
            if not isinstance(record, TurnOpened):
                self._in_hand -= 1
                self._gauges.published(record.turn)


def _policy(source: Source) -> Policy:
    """Live media may be dropped where nobody keeps up; recorded media waits."""
    return "drop_oldest" if source.live else "wait"
