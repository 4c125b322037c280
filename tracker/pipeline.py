"""The page: the whole path of a session, in the order in which data moves.

    source ─chunks→ segment ─turns→ observe ─observed→ recognise ─judged→ publish ─events→ every sink
    video ─watch→ frames ────────────┘

Each arrow is a bounded edge. A turn's opening travels down the same edges as the turn itself, so the order of events
depends on the media alone, not on how fast the machine is. When the source ends (by itself, because it was told to,
or because it was lost), each step finishes what it has and closes its edge: that is how a session drains. The sinks
outlive the path by one event, the session's outcome, which is known only once the path has ended.

Beside the path, where speech pauses, the same steps work speculatively on what may be a turn (`tracker.speculate`), and
at a steady pace on a long one, if that is wanted; the result reaches sinks that show previews on edges of their own.
Requests come in at the side (`tracker.steering`).
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import anyio
from anyio.abc import TaskGroup

from tracker.errors import SourceError, first_of, sentence_of
from tracker.events import Event, Outcome, RequestEvent, SessionEnded, Stamp
from tracker.metrics.gauges import Gauges
from tracker.metrics.sound import SoundCheck, repetition
from tracker.observe.records import FailedTurn, ObservedTurn
from tracker.observe.video.buffer import FrameBuffer
from tracker.observe.video.watcher import NoVideoWatcher, VideoWatcher
from tracker.publish import Publisher, Record, SessionHeader, SinkEdges
from tracker.recognise import JudgedTurn, SilentTurn
from tracker.runtime.clock import Clock, ns_to_samples
from tracker.runtime.control import Control
from tracker.runtime.edges import Edge, Policy
from tracker.runtime.threads import ModelThread
from tracker.sinks import PreviewSink, Sink
from tracker.sinks.deliver import MAY_TAKE_S, deliver
from tracker.sources.media import RATE_HZ, AudioChunk, Remarking, Source, opened
from tracker.sources.resample import as_recorded
from tracker.speculate import Speculation, SpeculativeSteps
from tracker.steering import Steering
from tracker.turns.turn import ChannelRepeats, Turn, TurnOpened, TurnPaused, TurnProgress, TurnRecord, TurnResumed

if TYPE_CHECKING:  # brings torch, which takes seconds to import
    from tracker.turns.segment import TurnSegmenter

_CHUNKS = 500  # ten seconds of 20 ms
_AT_ONCE = 10  # chunks that are cut in one visit to the thread, where so many wait
_BEHIND = 10  # chunks waiting: no speculation
_TURNS = 32  # at 20 s each, 40 MB
_EVENTS = 10_000


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What is known of a session before its first sample.

    Attributes:
        header: Describes the session, once the source is open.
        stamp: Called once, when the source is open: media time 0 is now.
        requests: What requests caused in an earlier run over the same media.
        ended_as: The outcome where the source ends by itself; a recording ends where its session was stopped.
    """

    header: Callable[[Source], SessionHeader]
    stamp: Callable[[], Stamp]
    requests: Sequence[RequestEvent] = ()
    ended_as: Literal["completed", "stopped"] = "completed"


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
        sinks: Take the events; one that fails is reported and left behind.
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
    """Travels among the chunks where listening was paused: the turns under way end at that media time."""

    at_ns: int


async def run(
    source: Source,
    steps: Callable[[int], Steps],
    outlets: Outlets,
    info: SessionInfo,
    clock: Clock,
    control: Control,
) -> SessionEnded:
    """Run one session from the first sample to its outcome.

    Args:
        source: Opened here.
        steps: Makes the steps of this session, for so many channels.
        outlets: Where it goes.
        info: What is known of it beforehand.
        clock: The monotonic clock.
        control: Pauses, marks, renames; ends the session early.

    Returns:
        The session's last event.

    Raises:
        SourceError: The source could not be opened (nothing was published) or was lost (all heard was published).
        Exception: A step failed; what was judged until then was published.
    """
    gauges = outlets.gauges
    async with opened(source) as chunks, anyio.create_task_group() as sinking:
        sinks = [_start(sinking, sink, _policy(source), outlets.report) for sink in outlets.sinks]
        audio: Edge[AudioChunk] = Edge("recording", 3 * _CHUNKS, _policy(source))
        if outlets.record_audio:
            sinking.start_soon(deliver, "recorder", outlets.record_audio, audio, outlets.report, name="record audio")
        else:
            audio.close()
        publisher = Publisher(info.stamp(), sinks, clock, info.requests)
        await publisher.start(info.header(source))

        path = _Path(source, steps(source.channels), publisher, audio, clock, gauges, outlets.report)
        events = [sink.events for sink in sinks]
        gauges.attach(source, [*path.edges, audio] if outlets.record_audio else path.edges, events)
        async with anyio.create_task_group() as steering:
            steering.start_soon(path.steer, control, name="control")
            await path.follow(chunks)
            steering.cancel_scope.cancel()
        gauges.detach()

        error = sentence_of(path.failure) if path.failure else None
        dropped = _dropped([*path.edges, audio, *events]) | path.lost()
        async with anyio.create_task_group() as ending:
            ending.start_soon(_close_full, events, name="let go of full edges")
            last = await publisher.finish(path.outcome(control, info.ended_as), error, path.media_ns, dropped)
            ending.cancel_scope.cancel()
        path.conclude(last)
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
        report: Callable[[str], None],
    ) -> None:
        self._report = report
        self._source = source
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
            source, steps.watcher, publisher, lambda at_ns: self._chunks.offer(_Silence(at_ns)), clock, gauges
        )
        self._speculation: Speculation | None = None
        if steps.speculative:
            self._speculation = Speculation(steps.speculative, clock, self._has_time, gauges.speculation, self._preview)
        self._remarks = 0  # of the source that were said
        self._sound = SoundCheck(source.live)
        self._without_words = 0  # turns
        self._in_hand = 0  # turns that are over and not yet published
        self.failure: Exception | None = None
        gauges.video = steps.watcher.state

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
            self.failure = first_of(failures)

    async def steer(self, control: Control) -> None:
        """Do what is requested; a source that fails at it ends the session."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._steering.follow, control, name="requests")
                await control.drained.wait()
                self._steering.stop()
                await control.aborted.wait()
                self._scope.cancel()
        except ExceptionGroup as failures:
            self.failure = first_of(failures)
            self._scope.cancel()

    def outcome(self, control: Control, ended_as: Outcome) -> Outcome:
        """How the path ended."""
        if self.failure:
            return "failed"
        if control.aborted.is_set():
            return "aborted"
        return "stopped" if control.drained.is_set() else ended_as

    @property
    def media_ns(self) -> int:
        """Media heard."""
        return self._steps.segmenter.media_ns

    def lost(self) -> dict[str, int]:
        """Items lost elsewhere than on an edge."""
        pictures = self._steps.watcher.state().dropped + self._steps.frames.dropped
        lost = {"samples": self._source.dropped, "pictures": pictures}
        return {name: count for name, count in lost.items() if count}

    async def _listen(self, chunks: AsyncIterator[AudioChunk]) -> None:
        try:
            self._pass_on_remarks()
            async for chunk in chunks:
                if chunk.end_ns > self._steering.heard_ns:  # what was heard of one channel is heard of all
                    await self._steering.listening()
                chunk = as_recorded(chunk)
                self._steering.heard_ns = max(self._steering.heard_ns, chunk.end_ns)
                self._gauges.measure(chunk)
                self._say(self._sound.hear(chunk))
                self._pass_on_remarks()
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
            pieces = (
                segmenter.pause(ns_to_samples(one.at_ns, RATE_HZ)) if isinstance(one, _Silence) else segmenter.feed(one)
                for one in heard
            )
            return [record for piece in pieces for record in piece]

        async def pass_on(found: Callable[[], list[TurnRecord]]) -> None:
            records = (await thread.run(found)).result
            self._steps.frames.follow(records, segmenter.media_ns)
            for record in records:
                await self._cut(record)

        try:
            while heard := await self._chunks.take(_AT_ONCE):
                await pass_on(partial(cut, heard))
            await pass_on(lambda: [*segmenter.finish()])
        finally:
            self._turns.close()
            if self._speculation:
                self._speculation.close()

    async def _cut(self, record: TurnRecord) -> None:
        match record:
            case TurnOpened():
                await self._turns.send(record)
            case TurnProgress(turn):
                if self._speculation:
                    self._speculation.turn_goes_on(turn)
            case TurnPaused(turn):
                if self._speculation:
                    self._speculation.turn_paused(turn)
            case TurnResumed(number):
                if self._speculation:
                    self._speculation.turn_resumed(number)
            case ChannelRepeats():
                self._say(repetition(record))
            case Turn():
                if self._speculation:
                    self._speculation.turn_ended(record)
                self._in_hand += 1
                record = replace(record, decided_at_ns=self._clock.now_ns())
                self._gauges.turn_ended(record)
                await self._turns.send(record)

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
            self._without_words += isinstance(record, SilentTurn)
            if isinstance(record, JudgedTurn | SilentTurn):
                self._say(self._sound.understood(record.observed.transcript))
            if not isinstance(record, TurnOpened):
                self._in_hand -= 1
                self._gauges.turn_published(record.turn)

    def _pass_on_remarks(self) -> None:
        """Say what the source has found out since it was opened."""
        if isinstance(self._source, Remarking):
            new = self._source.remarks[self._remarks :]
            self._remarks += len(new)
            for remark in new:
                self._say(remark)

    def conclude(self, ended: SessionEnded) -> None:
        """Say why there may be no turns."""
        self._say(self._sound.conclusion(ended, self._without_words))

    def _say(self, sentence: str) -> None:
        if sentence:
            self._report(f"{self._source.name}: {sentence}")

    def _has_time(self) -> bool:
        """Whether nothing waits; an earlier turn would also change the speculative result."""
        return self._in_hand == 0 and self._chunks.depth < _BEHIND and self._gauges.may_speculate()

    def _preview(self, judged: JudgedTurn) -> None:
        """Show what a turn under way comes to, where there is time for it."""
        if self._gauges.may_publish_partials():
            self._publisher.preview(judged)


def _start(group: TaskGroup, sink: Sink, policy: Policy, report: Callable[[str], None]) -> SinkEdges:
    """Run a sink in the group; returns the edges to it."""
    edges = SinkEdges(Edge(sink.name, _EVENTS, policy), Edge(f"{sink.name} previews", 1, "latest"))
    group.start_soon(deliver, sink.name, sink.run, edges.events, report, name=f"sink {sink.name}")
    if isinstance(sink, PreviewSink):
        name = f"{sink.name} previews"
        group.start_soon(deliver, name, sink.run_previews, edges.previews, report, name=f"sink {name}")
    else:
        edges.previews.close()
    return edges


async def _close_full(edges: Sequence[Edge[Event]]) -> None:
    """Close the edges on which there is still no room after a while: whoever sends waits no longer."""
    await anyio.sleep(MAY_TAKE_S)
    for edge in edges:
        if edge.depth >= edge.capacity:
            edge.close()


def _dropped(edges: Sequence[Edge[Any]]) -> dict[str, int]:
    return {edge.name: edge.dropped for edge in edges if edge.dropped}


def _policy(source: Source) -> Policy:
    """Live media may be dropped where nobody keeps up; recorded media waits."""
    return "drop_oldest" if source.live else "wait"
