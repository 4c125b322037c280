"""Sessions seen through a broker: messages, which may be late, doubled or out of order, to views; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from tracker.dashboard.view import Judgement, Speaker, View, fold, fold_preview
from tracker.events import Event, TurnEnded, from_json, preview_from_json
from tracker.mqtt.payloads import Notice, SpeakerEmotion
from tracker.mqtt.topics import slug
from tracker.sinks.text import printable

MAX_SESSIONS = 20
"""Sessions that are kept; the one first heard of goes first."""
MAX_BYTES = 1 << 20
"""Of a message; events are far smaller."""
_MALFORMED = (ValidationError, RecursionError)


@dataclass
class _Session:
    view: View = field(default_factory=View)
    seqs: set[int] = field(default_factory=set)
    notice: str = ""


class RemoteSessions:
    """Every session that messages on a broker belong to.

    Attributes:
        shown: Id of the one that is shown; empty as long as there is none.
    """

    def __init__(self) -> None:
        self.shown = ""
        self._sessions: dict[str, _Session] = {}
        self._show_newest = True

    @property
    def ids(self) -> Sequence[str]:
        """The sessions, in the order in which they were first heard of."""
        return list(self._sessions)

    @property
    def view(self) -> View:
        """The session that is shown."""
        return self._sessions[self.shown].view if self.shown else View()

    @property
    def notice(self) -> str:
        """The notice of the session that is shown."""
        return self._sessions[self.shown].notice if self.shown else ""

    @property
    def position(self) -> tuple[int, int]:
        """The number of the session that is shown, and how many there are."""
        return (self.ids.index(self.shown) + 1 if self.shown else 1), max(1, len(self._sessions))

    def switch(self, steps: int) -> None:
        """Show another session, so many steps further; from now on new sessions are not shown by themselves."""
        if self._sessions:
            self._show_newest = False
            self.shown = self.ids[(self.ids.index(self.shown) + steps) % len(self._sessions)]

    def take(self, topic: str, payload: bytes) -> bool:
        """Take a message; False where it is not one of a tracker's, or nothing new."""
        if not payload.startswith(b"{") or len(payload) > MAX_BYTES:
            return False
        try:
            event = from_json(payload)
        except _MALFORMED:
            return self._take_other(topic, payload)
        session = self._session(event.session, new=True)
        if event.seq in session.seqs:
            return False
        session.seqs.add(event.seq)
        session.view = fold(_without_placeholder(session.view, event), event)
        return True

    def _take_other(self, topic: str, payload: bytes) -> bool:
        """Take what comes beside the events: previews, the notice and each speaker's emotion."""
        try:
            if topic.endswith("/partial"):
                preview = preview_from_json(payload)
                session = self._session(preview.session, new=True)
                session.view = fold_preview(session.view, preview)
                return True
            if topic.endswith("/notice"):
                notice = Notice.model_validate_json(payload)
                self._session(notice.session).notice = printable(notice.notice)
                return True
            if "/speaker/" in topic:
                return self._add_placeholder(SpeakerEmotion.model_validate_json(payload))
        except _MALFORMED:
            pass
        return False

    def _add_placeholder(self, latest: SpeakerEmotion) -> bool:
        """Show a speaker whose turns were missed, under the id of the topic."""
        session = self._session(latest.session)
        if any(slug(speaker.id) == latest.speaker and speaker.turns for speaker in session.view.speakers):
            return False
        name = printable(latest.speaker)
        judgement = Judgement(0, 0, printable(latest.emotion), latest.confidence, latest.abstained)
        others = tuple(speaker for speaker in session.view.speakers if speaker.id != name)
        session.view = replace(session.view, speakers=(*others, Speaker(name, name, (judgement,))))
        return True

    def _session(self, session: str, new: bool = False) -> _Session:
        if session not in self._sessions:
            self._sessions[session] = _Session()
            if not self.shown or (new and self._show_newest):
                self.shown = session
            while len(self._sessions) > MAX_SESSIONS:
                oldest = next(one for one in self._sessions if one != self.shown)
                del self._sessions[oldest]
        return self._sessions[session]


def _without_placeholder(view: View, event: Event) -> View:
    """The view before a speaker's first turn, without the placeholder for that speaker."""
    if not isinstance(event, TurnEnded):
        return view
    topic, speaker = slug(event.speaker), printable(event.speaker)
    kept = tuple(one for one in view.speakers if one.turns or one.id != topic or one.id == speaker)
    return replace(view, speakers=kept)
