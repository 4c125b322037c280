"""The records of step 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.contract import Absent, Features
from tracker.observe.video.seen import Look
from tracker.turns.turn import Turn


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said.

    Attributes:
        text: The words; empty where none could be believed.
        language: BCP 47 tag.
        why_empty: Why there are no words, or None where there are some.
    """

    text: str
    language: str
    why_empty: str | None = None


@dataclass(frozen=True, slots=True)
class ObservedTurn:
    """A turn with all that was found out about it.

    Attributes:
        turn: The turn itself.
        speaker: Who spoke: ``Speaker 1`` ...
        transcript: What was said.
        audio: Voice features, or why there are none.
        video: Face features, or why there are none.
        took_ms: Milliseconds by observer: ``transcribe``, ``speaker``, and ``observe`` for all of them together.
        look: How the face was seen, where one was.
    """

    turn: Turn
    speaker: str
    transcript: Transcript
    audio: Features | Absent
    video: Features | Absent
    took_ms: Mapping[str, float]
    look: Look | None = None


@dataclass(frozen=True, slots=True)
class FailedTurn:
    """A turn on which a model failed; it is published as skipped.

    Attributes:
        turn: The turn itself.
        detail: What failed, in one sentence without the transcript.
    """

    turn: Turn
    detail: str
