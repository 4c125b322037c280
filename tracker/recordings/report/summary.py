"""Statistics of a session; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tracker.events import Event, MomentMarked, SpeakerRenamed, TurnEnded, TurnSkipped, with_merged_speakers
from tracker.metrics.percentiles import percentile
from tracker.metrics.stages import STAGES, stage_percentiles


@dataclass(frozen=True, slots=True)
class SpeakerSummary:
    """One speaker.

    Attributes:
        id: As in the events.
        name: The last one given, or the id.
        turns: In the order of their start.
        shares: Of the time spoken, by emotion, turns without a clear judgement left out; empty where all are.
        spoken_ns: Time spoken.
        unsure: How many turns have no clear judgement.
    """

    id: str
    name: str
    turns: tuple[TurnEnded, ...]
    shares: dict[str, float]
    spoken_ns: int
    unsure: int


@dataclass(frozen=True, slots=True)
class Summary:
    """One session.

    Attributes:
        people: In the order in which they were first heard.
        turns: All that were judged, in the order of their start.
        skipped: Turns that were not.
        marks: Moments that a user marked.
        follows: How often one emotion was followed by another of the next speaker.
        latencies: p50 and p95 of each stage, in milliseconds.
        confidence: p50 of the confidence; None without a turn.
    """

    people: tuple[SpeakerSummary, ...]
    turns: tuple[TurnEnded, ...]
    skipped: tuple[TurnSkipped, ...]
    marks: tuple[MomentMarked, ...]
    follows: dict[tuple[str, str], int]
    latencies: dict[str, tuple[float, float]]
    confidence: float | None

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The dimensions of affect that any turn has, as they first appear."""
        return tuple(dict.fromkeys(name for turn in self.turns for name in turn.dimensions or ()))

    @property
    def unsure(self) -> int:
        """Turns without a clear judgement."""
        return sum(person.unsure for person in self.people)

    def name_of(self, speaker: str) -> str:
        """The name of a speaker."""
        return next((person.name for person in self.people if person.id == speaker), speaker)


def summarise(events: Sequence[Event]) -> Summary:
    """Summarise a session's events."""
    events = with_merged_speakers(events)
    turns = sorted((event for event in events if isinstance(event, TurnEnded)), key=lambda turn: turn.start_ns)
    names = {event.speaker: event.name for event in events if isinstance(event, SpeakerRenamed)}
    people = tuple(
        _summarise_speaker(speaker, names, turns) for speaker in dict.fromkeys(turn.speaker for turn in turns)
    )
    latencies = [turn.latency_ms for turn in turns]
    found = {name: stage_percentiles(latencies, name) for name in ("event", *STAGES)}
    return Summary(
        people=people,
        turns=tuple(turns),
        skipped=tuple(event for event in events if isinstance(event, TurnSkipped)),
        marks=tuple(event for event in events if isinstance(event, MomentMarked)),
        follows=dict(follows(turns)),
        latencies={name: (one.p50, one.p95) for name, one in found.items() if one},
        confidence=percentile([turn.confidence for turn in turns], 0.5) if turns else None,
    )


def follows(turns: Sequence[TurnEnded]) -> Counter[tuple[str, str]]:
    """How often one emotion follows another: clear judgements of two turns where the speaker changes."""
    return Counter(
        (before.emotion, after.emotion)
        for before, after in pairwise(turns)
        if before.speaker != after.speaker and not before.abstained and not after.abstained
    )


def _summarise_speaker(speaker: str, names: dict[str, str], turns: Sequence[TurnEnded]) -> SpeakerSummary:
    own = tuple(turn for turn in turns if turn.speaker == speaker)
    lasted: Counter[str] = Counter()
    for turn in own:
        if not turn.abstained:
            lasted[turn.emotion] += turn.end_ns - turn.start_ns
    total = sum(lasted.values())
    return SpeakerSummary(
        id=speaker,
        name=names.get(speaker) or own[-1].speaker_name or speaker,
        turns=own,
        shares={emotion: lasting / total for emotion, lasting in lasted.most_common()} if total else {},
        spoken_ns=sum(turn.end_ns - turn.start_ns for turn in own),
        unsure=sum(turn.abstained for turn in own),
    )
