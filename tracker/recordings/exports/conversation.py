"""The input of every format: the judged turns of a session, each with the name of its speaker."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from tracker.events import Event, SpeakerRenamed, TurnEnded, with_merged_speakers
from tracker.runtime.clock import NS_PER_MS

K = TypeVar("K")

BIDI = "\u202a-\u202e\u2066-\u2069"
"""Characters that turn the direction of what follows them, also beyond the text that they are in."""

# Control characters, line and paragraph separators, surrogates, and what XML 1.0 (section 2.2) forbids.
_NO_TEXT = re.compile(f"[\\s\x00-\x1f\x7f-\x9f\u2028\u2029{BIDI}\ud800-\udfff\ufffe\uffff]+")


class TimedWord(NamedTuple):
    """One word: in one line, never empty; media time in milliseconds, the end after the start."""

    text: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class NamedTurn:
    """One judged turn.

    Attributes:
        event: As it was published.
        name: Of its speaker; one line, never empty.
        text: The words, in one line; empty where they were not kept.
    """

    event: TurnEnded
    name: str
    text: str

    @property
    def start_ms(self) -> int:
        """Media time in milliseconds, rounded."""
        return _ms(self.event.start_ns)

    @property
    def end_ms(self) -> int:
        """Media time in milliseconds; at least one after the start, since most formats know no empty stretch."""
        return max(_ms(self.event.end_ns), self.start_ms + 1)

    @property
    def sounds(self) -> tuple[str, ...]:
        """What is heard beside words, each once."""
        return tuple(dict.fromkeys(one_line(sound.label) for sound in self.event.sounds))

    @property
    def caption(self) -> str:
        """The words with sounds in brackets behind them."""
        return " ".join([*([self.text] if self.text else []), *(f"({label})" for label in self.sounds)])

    @property
    def words(self) -> list[TimedWord]:
        """The words with their times, in order and within the turn, none over the other; empty if not kept."""
        found: list[TimedWord] = []
        last = self.start_ms
        for word in self.event.words or ():
            text, start = one_line(word.text), max(_ms(word.start_ns), last)
            if text and (start < self.end_ms or not found):
                start = min(start, self.end_ms - 1)
                last = min(max(_ms(word.end_ns), start + 1), self.end_ms)
                found.append(TimedWord(text, start, last))
            elif text:  # no time is left for it
                found[-1] = found[-1]._replace(text=f"{found[-1].text} {text}")
        return found

    @property
    def emotion(self) -> str:
        """The emotion, with a question mark where the judgement abstained."""
        return one_line(self.event.emotion) + ("?" if self.event.abstained else "")


@dataclass(frozen=True, slots=True)
class Conversation:
    """A session's judged turns.

    Attributes:
        source: mic, stdin, or the name of a file.
        started_at: Wall time of media time 0, RFC 3339.
        labels: The emotions.
        turns: In the order of their start; turns of people who talk at once overlap.
        audio: Where a channel's audio lies, as a relative URL; only channels whose audio was kept.
    """

    source: str
    started_at: str
    labels: tuple[str, ...]
    turns: tuple[NamedTurn, ...]
    audio: Mapping[int, str] = field(default_factory=dict)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The dimensions of affect that any turn has, as they first appear."""
        return tuple(dict.fromkeys(name for turn in self.turns for name in turn.event.dimensions or ()))


def conversation(
    events: Iterable[Event],
    source: str,
    started_at: str,
    labels: Sequence[str],
    audio: Mapping[int, str] | None = None,
) -> Conversation:
    """The turns of a session.

    A speaker has the last name given in the session, also in earlier turns; without one, the id.

    Args:
        events: Of one session.
        source: mic, stdin, or the name of a file.
        started_at: Wall time of media time 0, RFC 3339.
        labels: The emotions that the session announced; others that a turn carries are added.
        audio: Relative URLs of the channels' audio.
    """
    turns, names, found = [], {}, dict.fromkeys(labels)
    for event in with_merged_speakers(events):
        if isinstance(event, TurnEnded):
            turns.append(event)
            found |= dict.fromkeys([*event.probabilities, event.emotion])
            if event.speaker_name is not None:
                names[event.speaker] = event.speaker_name
        elif isinstance(event, SpeakerRenamed):
            names[event.speaker] = event.name
    turns.sort(key=lambda turn: (turn.start_ns, turn.turn))
    named = (
        NamedTurn(turn, _display_name(names.get(turn.speaker, ""), turn.speaker), one_line(turn.text)) for turn in turns
    )
    return Conversation(source, started_at, tuple(found), tuple(named), audio or {})


def one_line(text: str) -> str:
    """Text with every run of white space and control characters as one space; fit for XML once it is escaped."""
    return _NO_TEXT.sub(" ", text).strip()


def distinct(items: Iterable[K], shape: Callable[[K], str], taken: Collection[str] = ()) -> dict[K, str]:
    """Each thing as a word of a narrower alphabet; things that differ get different words, by a number at the end.

    Args:
        items: Any.
        shape: Brings one into the alphabet, which must have digits and the underscore.
        taken: What none may become.
    """
    shaped: dict[K, str] = {}
    used = set(taken)
    for item in dict.fromkeys(items):
        plain = word = shape(item)
        number = 1
        while word in used:
            number += 1
            word = f"{plain}_{number}"
        used.add(word)
        shaped[item] = word
    return shaped


def clock(ms: int, point: str) -> str:
    """A time of a subtitle: ``01:02:03.456``, with this decimal point."""
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{ms:03d}"


def _ms(ns: int) -> int:
    return (ns + NS_PER_MS // 2) // NS_PER_MS


def _display_name(name: str, speaker: str) -> str:
    return one_line(name) or one_line(speaker) or "unnamed"
