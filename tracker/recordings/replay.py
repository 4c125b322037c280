"""Reads a recorded session, and publishes its events again at their own pace or faster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from os.path import lexists
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.lowlevel
from pydantic import ValidationError

from adapters.contract import MOST_LABELS
from tracker.errors import SessionError
from tracker.events import (
    Event,
    ListeningPaused,
    ListeningResumed,
    MomentMarked,
    SessionEnded,
    SessionStarted,
    SpeakerMerged,
    SpeakerRenamed,
    TurnEnded,
    TurnSkipped,
    TurnStarted,
    from_json,
)
from tracker.recordings.format import EVENTS, START, STOP, RecordedFile, StartFile, StopFile
from tracker.runtime.clock import NS_PER_MS, Clock
from tracker.runtime.edges import Edge
from tracker.sinks import Sink
from tracker.sinks.deliver import MAY_TAKE_S, deliver

# Far more than the tracker tells apart, or could publish.
MOST_SPEAKERS = 256
MOST_AT_ONCE = 64

_WAITING = 1000  # events that a slow sink may lag behind; then the replay waits for it

F = TypeVar("F", StartFile, StopFile)


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """The contents of a session's folder.

    Attributes:
        start: How it began.
        stop: How it ended, or None where the recording was cut off.
        events: In the order in which they were published.
        torn: Whether the last line was cut off and is left out.
    """

    start: StartFile
    stop: StopFile | None
    events: tuple[Event, ...]
    torn: bool


def read_session(folder: Path) -> RecordedSession:
    """Read a recorded session; blocks.

    Raises:
        SessionError: It is no recorded session, or a file in it is damaged otherwise than by being cut off; the
            message names the file and the line.
    """
    if not lexists(folder):
        raise SessionError(
            f"{folder}: is not a recorded session, there is no such folder; tracker sessions list shows them"
        )
    if not lexists(folder / START):
        raise SessionError(f"{folder}: is not a recorded session, there is no {START} in it")
    start = _read(folder / START, StartFile)
    stop = _read(folder / STOP, StopFile) if lexists(folder / STOP) else None
    events, torn = parse_events(RecordedFile(folder / EVENTS).read(), start.session, str(folder / EVENTS))
    if stop and (torn or stop.events != len(events)):
        raise SessionError(f"{folder / EVENTS}: holds {len(events)} whole events, but {STOP} says {stop.events}")
    session = RecordedSession(start, stop, events, torn)
    for fault in _beyond_limits(session):
        raise SessionError(f"{folder}: {fault}")
    return session


def _beyond_limits(session: RecordedSession) -> Iterator[str]:
    """What no session that was recorded has."""
    turns = [event for event in session.events if isinstance(event, TurnEnded)]
    if len({turn.speaker for turn in turns}) > MOST_SPEAKERS:
        yield f"{EVENTS}: has more than {MOST_SPEAKERS} speakers"
    labels = {*session.start.labels, *(label for turn in turns for label in (turn.emotion, *turn.probabilities))}
    if len(labels) > MOST_LABELS:
        yield f"{EVENTS}: has more than {MOST_LABELS} emotions"
    if _most_at_once(session.events) > MOST_AT_ONCE:
        yield f"{EVENTS}: has more than {MOST_AT_ONCE} turns of one channel at once"


def _most_at_once(events: Sequence[Event]) -> int:
    """The largest number of turns of one channel that share a moment."""
    ended = [event for event in events if isinstance(event, TurnEnded | TurnSkipped)]
    over = {event.turn for event in ended}
    running = [event for event in events if isinstance(event, TurnStarted) and event.turn not in over]
    starts = [(one.channel, one.start_ns, 1) for one in (*ended, *running)]
    ends = [(one.channel, max(one.end_ns, one.start_ns + 1), -1) for one in ended]
    ends += [(one.channel, one.start_ns + 1, -1) for one in running]
    return max(accumulate(step for _, _, step in sorted(starts + ends)), default=0)


def parse_events(log: bytes, session: str, where: str) -> tuple[tuple[Event, ...], bool]:
    """The events in a log, and whether its last line was cut off.

    Args:
        log: Lines of JSON.
        session: The id that every event must carry.
        where: The log's name, for messages.

    Raises:
        SessionError: A line that is not the last, or ends as a line should, is no event of this session or out of
            order.
    """
    events: list[Event] = []
    lines = log.split(b"\n")
    for number, line in enumerate(lines, start=1):
        last = number == len(lines)
        if last and not line:
            break
        try:
            event = from_json(line)
        except ValidationError as error:
            if last:
                return tuple(events), True
            raise SessionError(f"{where}, line {number}: {_first_fault(error)}") from error
        if event.session != session:
            raise SessionError(f"{where}, line {number}: belongs to session {event.session}, not {session}")
        if events and event.seq <= events[-1].seq:
            raise SessionError(f"{where}, line {number}: event {event.seq} comes after {events[-1].seq}")
        events.append(event)
    return tuple(events), False


def moment_ns(event: Event) -> int:
    """The media time at which an event was published, as far as is known."""
    match event:
        case SessionStarted():
            return 0
        case TurnStarted():
            return event.start_ns
        case TurnEnded():
            return event.end_ns + round((event.latency_ms.endpoint + event.latency_ms.total) * NS_PER_MS)
        case TurnSkipped():
            return event.end_ns
        case ListeningPaused() | ListeningResumed() | MomentMarked() | SpeakerRenamed() | SpeakerMerged():
            return event.at_ns
        case SessionEnded():
            return event.media_ns


async def replay(events: Sequence[Event], clock: Clock, speed: float | None) -> AsyncIterator[Event]:
    """Repeat events, unchanged and in order.

    Args:
        events: Of one session.
        clock: Paces them.
        speed: 1 is the original speed; None does not wait at all.

    Raises:
        ValueError: The speed is not above 0.
    """
    if speed is not None and not speed > 0:
        raise ValueError(f"a session is replayed at a speed above 0, not {speed}")
    begun, reached = clock.now_ns(), 0
    for event in events:
        reached = max(reached, moment_ns(event))
        if speed is None:
            await anyio.lowlevel.checkpoint()
        else:
            await clock.sleep_until_ns(begun + round(reached / speed))
        yield event


async def publish(
    events: AsyncIterator[Event], sinks: Sequence[Sink], report: Callable[[str], None], stop: anyio.Event
) -> None:
    """Hand events to every sink.

    Args:
        events: As they come.
        sinks: One that fails is reported, and the others go on.
        report: Says one sentence to the user.
        stop: Once it is set, no further event is handed over.
    """
    async with anyio.create_task_group() as group:
        edges: list[Edge[Event]] = [Edge(sink.name, _WAITING) for sink in sinks]
        for sink, edge in zip(sinks, edges, strict=True):
            group.start_soon(deliver, sink.name, sink.run, edge, report, name=f"sink {sink.name}")
        async with anyio.create_task_group() as publishing:

            async def watch() -> None:
                await stop.wait()
                publishing.cancel_scope.cancel()

            publishing.start_soon(watch, name="control")
            async for event in events:
                taken = [await edge.offer(event) for edge in edges]
                if edges and not any(taken):
                    break  # nobody is left
            publishing.cancel_scope.cancel()
        for edge in edges:
            edge.close()
        group.cancel_scope.deadline = anyio.current_time() + MAY_TAKE_S


def _read(path: Path, kind: type[F]) -> F:
    try:
        return kind.model_validate_json(RecordedFile(path).read())
    except ValidationError as error:
        raise SessionError(f"{path}: {_first_fault(error)}") from error


def _first_fault(error: ValidationError) -> str:
    """The first thing wrong, without the contents; names in it are cut, since they may be of any length."""
    fault = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part)[:100] for part in fault["loc"])
    said = fault["msg"].removeprefix("Value error, ")[:300]
    return f"{key}: {said}" if key else said
