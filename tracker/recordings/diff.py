"""What changed between two sessions, turn by turn. Pure: events in, differences out.

Turns are aligned by time, within a channel: those that overlap most, relative to their length, belong together. Ids,
wall times and latencies are never compared; everything else is, probabilities exactly unless a tolerance is given.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

from tracker.events import (
    Event,
    RequestEvent,
    SessionEnded,
    SessionStarted,
    SpeakerMerged,
    TurnEnded,
    TurnSkipped,
    TurnStarted,
)

TurnEvent = TurnStarted | TurnEnded | TurnSkipped
"""The last event of a turn; ``turn.started`` where the log ends before the turn does."""

_IDS = {"schema", "session", "seq"}
_TIMES = {"time", "start_time", "end_time", "paused_ms", "latency_ms"}
_COUNTS = {"turns_started", "turns_ended", "turns_skipped"}  # they follow from the turns


@dataclass(frozen=True, slots=True)
class Field:
    """One value that differs.

    Attributes:
        name: The event's field.
        a: Its value in the first session, or None where it has none.
        b: Likewise in the second.
    """

    name: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class TurnChange:
    """A turn that differs between the sessions.

    Attributes:
        a: In the first session, or None where it is only in the second.
        b: In the second, or None where it is only in the first.
        fields: What differs; empty where it is in one of them only.
    """

    a: TurnEvent | None
    b: TurnEvent | None
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Remark:
    """A pause, mark, new name or speaker put together that only one session has."""

    only_in: Literal["a", "b"]
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that changed; false where nothing did."""

    session: tuple[Field, ...]
    turns: tuple[TurnChange, ...]
    remarks: tuple[Remark, ...]

    def __bool__(self) -> bool:
        return bool(self.session or self.turns or self.remarks)


def compare(a: Sequence[Event], b: Sequence[Event], *, words: bool = True, tolerance: float = 0.0) -> Difference:
    """What changed from one session to another.

    Args:
        a: The first session's events.
        b: The second's.
        words: Whether to compare words; pointless where a session has not kept them.
        tolerance: By how much probabilities may differ; another number of threads changes them by less than 1e-6.
    """
    changes = []
    for one, other in align(_turns(a), _turns(b)):
        found = _fields(one, other, {"turn"} if words else {"turn", "text"}) if one and other else ()
        fields = tuple(field for field in found if not _near(field.a, field.b, tolerance))
        if fields or not (one and other):
            changes.append(TurnChange(one, other, fields))
    return Difference(tuple(_session(a, b)), tuple(changes), tuple(_remarks(a, b)))


def align(a: Sequence[TurnEvent], b: Sequence[TurnEvent]) -> list[tuple[TurnEvent | None, TurnEvent | None]]:
    """Pairs of turns that belong together, by time; one that has no counterpart stands alone.

    The pair that overlaps most comes first, as a share of the time that either takes; each turn has one counterpart.
    """
    pairs = sorted((-share, abs(i - j), i, j) for i, j in _near_in_time(a, b) if (share := overlap(a[i], b[j])) > 0)
    of_a: dict[int, int] = {}
    of_b: dict[int, int] = {}
    for _, _, i, j in pairs:
        if i not in of_a and j not in of_b:
            of_a[i], of_b[j] = j, i
    aligned: list[tuple[TurnEvent | None, TurnEvent | None]] = [
        (one, b[of_a[i]] if i in of_a else None) for i, one in enumerate(a)
    ]
    aligned += [(None, other) for j, other in enumerate(b) if j not in of_b]
    return sorted(aligned, key=_when)


def _near_in_time(a: Sequence[TurnEvent], b: Sequence[TurnEvent]) -> Iterator[tuple[int, int]]:
    """Every pair of one channel that may share time, and few others; takes time by their number, not by all pairs."""
    by_channel: dict[int, list[int]] = {}
    for j in sorted(range(len(b)), key=lambda j: b[j].start_ns):
        by_channel.setdefault(b[j].channel, []).append(j)
    starts = {channel: [b[j].start_ns for j in those] for channel, those in by_channel.items()}
    ends = {channel: list(accumulate((_span(b[j])[1] for j in those), max)) for channel, those in by_channel.items()}
    for i, one in enumerate(a):
        begin, end = _span(one)
        if those := by_channel.get(one.channel):
            first, last = bisect_left(ends[one.channel], begin), bisect_right(starts[one.channel], end)
            yield from ((i, j) for j in those[first:last])


def overlap(one: TurnEvent, other: TurnEvent) -> float:
    """The time that two turns share, as a part of the time that they take together; 1 for the same time."""
    (begin, end), (other_begin, other_end) = _span(one), _span(other)
    if (begin, end) == (other_begin, other_end):
        return 1.0
    shared = min(end, other_end) - max(begin, other_begin)
    return max(0.0, shared / (max(end, other_end) - min(begin, other_begin)))


def _turns(events: Sequence[Event]) -> list[TurnEvent]:
    last: dict[int, TurnEvent] = {}
    for event in events:
        if isinstance(event, TurnStarted | TurnEnded | TurnSkipped):
            last[event.turn] = event
    return sorted(last.values(), key=lambda turn: (*_span(turn), turn.channel, turn.turn))


def _span(turn: TurnEvent) -> tuple[int, int]:
    return turn.start_ns, turn.start_ns if isinstance(turn, TurnStarted) else turn.end_ns


def _when(pair: tuple[TurnEvent | None, TurnEvent | None]) -> tuple[int, int]:
    turn = pair[0] or pair[1]
    assert turn
    return turn.start_ns, turn.channel


def _values(event: Event, without: set[str]) -> dict[str, Any]:
    values = event.model_dump(mode="json", by_alias=True)
    return {name: value for name, value in values.items() if name not in _IDS | _TIMES | without}


def _fields(a: Event, b: Event, without: set[str]) -> Iterator[Field]:
    """What differs; where the kinds of event do, what only one kind has says nothing new."""
    before, after = _values(a, without), _values(b, without)
    for name in before | after:
        if type(a) is not type(b) and not (name in before and name in after):
            continue
        if before.get(name) != after.get(name):
            yield Field(name, before.get(name), after.get(name))


def _session(a: Sequence[Event], b: Sequence[Event]) -> Iterator[Field]:
    for kind in (SessionStarted, SessionEnded):
        one, other = _first(a, kind), _first(b, kind)
        if one and other:
            yield from _fields(one, other, _COUNTS)
        elif one or other:
            yield Field("type", one and one.type, other and other.type)


def _near(a: object, b: object, tolerance: float) -> bool:
    """Whether numbers, or those under the same names, differ by no more than that."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_near(a[name], b[name], tolerance) for name in a)
    return a == b or (isinstance(a, float) and isinstance(b, float) and abs(a - b) <= tolerance)


def _first(events: Sequence[Event], kind: type[SessionStarted | SessionEnded]) -> SessionStarted | SessionEnded | None:
    return next((event for event in events if isinstance(event, kind)), None)


def _remarks(a: Sequence[Event], b: Sequence[Event]) -> Iterator[Remark]:
    left = Counter(map(_key, filter(_is_remark, b)))
    for event in filter(_is_remark, a):
        if left[_key(event)]:
            left[_key(event)] -= 1
        else:
            yield Remark("a", _values(event, set()))
    for event in filter(_is_remark, b):
        if left[_key(event)]:
            left[_key(event)] -= 1
            yield Remark("b", _values(event, set()))


def _is_remark(event: Event) -> bool:
    return isinstance(event, RequestEvent | SpeakerMerged)


def _key(event: Event) -> str:
    return repr(_values(event, set()))
