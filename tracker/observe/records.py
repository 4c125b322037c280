"""The records of step 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from adapters.contract import Absent, Features, Sound
from tracker.observe.speakers import Merge
from tracker.observe.video.records import SpeakerFace
from tracker.turns.turn import Turn


class SpokenWord(NamedTuple):
    """One word of a turn, the marks after it included.

    Attributes:
        text: The word.
        start_ns: Nanoseconds since the turn's start.
        end_ns: Likewise.
        confidence: The decoder's mean probability of its tokens.
    """

    text: str
    start_ns: int
    end_ns: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """The words of a turn.

    Attributes:
        text: The words; empty where the decoder's output was rejected.
        language: BCP 47 tag.
        why_empty: Why there are no words, or None where there are some.
        words: The same with their times, where they are wanted.
        text_en: The decoder's English translation, where the words are in another language.
        odds: Probability of each language by the sound alone, where it was asked for.
        seems: The language that it seems to be, where that is not the one to be decoded.
    """

    text: str
    language: str
    why_empty: str | None = None
    words: tuple[SpokenWord, ...] = ()
    text_en: str | None = None
    odds: Mapping[str, float] = field(default_factory=dict)
    seems: str | None = None

    @property
    def readable(self) -> str:
        """The words as they are judged: in English where they were translated."""
        return self.text_en or self.text


@dataclass(frozen=True, slots=True)
class ObservedTurn:
    """A turn and what the observers found.

    Attributes:
        turn: The turn itself.
        speaker: Who spoke: ``Speaker 1`` ...
        transcript: The words.
        audio: Voice features, or why there are none.
        video: Face features, or why there are none.
        took_ms: Milliseconds by observer: ``transcribe``, ``speaker``, and ``observe`` for all of them together.
        face: The speaker's face, where there is one.
        merged: Speakers who were found to be one with another by now.
        person: The name under which the speaker's voice is enrolled, if it is.
        sounds: What is heard beside words.
    """

    turn: Turn
    speaker: str
    transcript: Transcript
    audio: Features | Absent
    video: Features | Absent
    took_ms: Mapping[str, float]
    face: SpeakerFace | None = None
    merged: tuple[Merge, ...] = ()
    person: str | None = None
    sounds: tuple[Sound, ...] = ()


@dataclass(frozen=True, slots=True)
class FailedTurn:
    """A turn on which a model failed; it is published as skipped.

    Attributes:
        turn: The turn itself.
        detail: What failed, in one sentence without the transcript.
        merged: As in `ObservedTurn`.
    """

    turn: Turn
    detail: str
    merged: tuple[Merge, ...] = ()
