"""Sessions seen through a broker alone: from messages, late, doubled or out of order, to views; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydantic import BaseModel, ConfigDict, ValidationError

from tracker.dashboard.view import Feeling, Speaker, View, fold, previewed
from tracker.dashboard.words import printable
from tracker.events import Event, Preview, TurnEnded, from_json, preview_from_json

MAX_SESSIONS = 20
"""Sessions that are remembered; the one longest without news goes first."""


class _SpeakerEmotion(BaseModel):
    """A speaker's retained emotion, as far as it is shown."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    session: str
    speaker: str
    emotion: str
    confidence: float
    abstained: bool = False


@dataclass
class _Seen:
    view: View = field(default_factory=View)
    numbers: set[int] = field(default_factory=set)
    notice: str = ""


class Watched:
    """Every session that a broker tells of.

    Attributes:
        chosen: Id of the one that is shown; empty as long as there is none.
    """

    def __init__(self) -> None:
        self.chosen = ""
        self._sessions: dict[str, _Seen] = {}
        self._follow_newest = True

    @property
    def ids(self) -> Sequence[str]:
        """The sessions, in the order in which they were first heard of."""
        return list(self._sessions)

    @property
    def view(self) -> View:
        """The chosen session."""
        return self._sessions[self.chosen].view if self.chosen else View()

    @property
    def notice(self) -> str:
        """What the people in it were told."""
        return self._sessions[self.chosen].notice if self.chosen else ""

    @property
    def place(self) -> tuple[int, int]:
        """Which one it is, and of how many."""
        return (self.ids.index(self.chosen) + 1 if self.chosen else 1), max(1, len(self._sessions))

    def choose(self, by: int) -> None:
        """Show another session, so many further; new sessions no longer push themselves forward."""
        if self._sessions:
            self._follow_newest = False
            self.chosen = self.ids[(self.ids.index(self.chosen) + by) % len(self._sessions)]

    def take(self, topic: str, payload: bytes) -> bool:
        """Take a message; False where it is none of ours or nothing new."""
        if not payload.startswith(b"{"):
            return False
        try:
            event = from_json(payload)
        except ValidationError:
            return self._take_other(topic, payload)
        seen = self._session(event.session, new=True)
        if event.seq in seen.numbers:
            return False
        seen.numbers.add(event.seq)
        seen.view = fold(_without_stand_in(seen.view, event), event)
        return True

    def _take_other(self, topic: str, payload: bytes) -> bool:
        """What comes beside the events: previews, the notice and each speaker's emotion."""
        try:
            if topic.endswith("/partial"):
                return self._preview(preview_from_json(payload))
            if topic.endswith("/notice"):
                told = json.loads(payload)
                self._session(str(told["session"])).notice = printable(str(told["notice"]))
                return True
            if "/speaker/" in topic:
                return self._stand_in(_SpeakerEmotion.model_validate_json(payload))
        except (ValidationError, ValueError, KeyError, TypeError):
            return False
        return False

    def _preview(self, preview: Preview) -> bool:
        seen = self._session(preview.session, new=True)
        seen.view = previewed(seen.view, preview)
        return True

    def _stand_in(self, told: _SpeakerEmotion) -> bool:
        """Show a speaker whose turns were before our time."""
        seen = self._session(told.session)
        if any(_slug(speaker.id) == told.speaker and speaker.turns for speaker in seen.view.people):
            return False
        feeling = Feeling(0, 0, printable(told.emotion), min(1.0, max(0.0, told.confidence)), told.abstained)
        name = printable(told.speaker)
        others = tuple(speaker for speaker in seen.view.people if speaker.id != name)
        seen.view = replace(seen.view, people=(*others, Speaker(name, name, (feeling,))))
        return True

    def _session(self, session: str, new: bool = False) -> _Seen:
        if session not in self._sessions:
            self._sessions[session] = _Seen()
            if not self.chosen or (new and self._follow_newest):
                self.chosen = session
            while len(self._sessions) > MAX_SESSIONS:
                oldest = next(one for one in self._sessions if one != self.chosen)
                del self._sessions[oldest]
        return self._sessions[session]


def _without_stand_in(view: View, event: Event) -> View:
    """The view before a speaker's first turn that we hear, without what stood for it."""
    if not isinstance(event, TurnEnded):
        return view
    slug, speaker = _slug(event.speaker), printable(event.speaker)
    return replace(view, people=tuple(one for one in view.people if one.turns or one.id != slug or one.id == speaker))


def _slug(name: str) -> str:
    """An id as it stands in a topic."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unknown"
