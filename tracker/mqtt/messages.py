"""The messages that carry a session's events, in the order in which they are to be delivered. No I/O."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, final

from tracker.events import (
    SCHEMA,
    Event,
    ListeningPaused,
    ListeningResumed,
    MomentMarked,
    Preview,
    SessionEnded,
    SessionStarted,
    SpeakerRenamed,
    TurnEnded,
    TurnSkipped,
    TurnStarted,
    to_json,
    without_words,
)
from tracker.mqtt.payloads import Notice, PublishedMetrics, SpeakerEmotion, dumps
from tracker.mqtt.topics import Message, Topics, slug

JSON = "application/json"


class Composer(Protocol):
    """Turns events into messages; sees every event of a session once and in order."""

    def of(self, event: Event, late: bool) -> list[Message]:
        """The messages of an event; may be none.

        Args:
            event: The next one.
            late: Whether the broker was away when it came.
        """


@final
class EventMessages:
    """Every event on its topic, and beside it what follows from it: the notice, each speaker's emotion.

    Args:
        topics: Where.
        notice: What people who are listened to are told.
        speaker_expiry_s: Seconds after which a speaker's emotion is no longer current.
        text: Whether what was said is published.
    """

    def __init__(self, topics: Topics, notice: str = "", speaker_expiry_s: int = 600, text: bool = True) -> None:
        self._topics = topics
        self._notice = notice
        self._expiry_s = speaker_expiry_s
        self._text = text
        self._speakers: dict[str, None] = {}

    def of(self, event: Event, late: bool) -> list[Message]:
        """The messages of an event of the session that runs."""
        carrying = self._carrying(event, self._topics[name_of(event)], late)
        match event:
            case SessionStarted():
                self._speakers.clear()
                return [carrying, self._notice_of(event), self._gone("listening")]
            case TurnEnded():
                topic = self._topics.speaker(event.speaker)
                self._speakers[topic] = None
                return [carrying, _speaker(event, topic, self._expiry_s)]
            case SessionEnded():
                speakers = [Message(topic, "", retain=True, content_type=JSON) for topic in self._speakers]
                return [*speakers, self._gone("listening"), self._gone("notice"), carrying]
        return [carrying]

    def afterwards(self, event: Event, late: bool = True) -> list[Message]:
        """The message of an event of an earlier run: nothing that is retained, since it is no longer so."""
        return [replace(self._carrying(event, self._topics["late"], late), retain=False, expendable=False)]

    def _carrying(self, event: Event, topic: str, late: bool) -> Message:
        properties = (("schema", SCHEMA), ("session", event.session))
        return Message(
            topic=topic,
            payload=to_json(event if self._text else without_words(event)),
            retain=name_of(event) in ("state", "listening"),
            content_type=JSON,
            user_properties=(*properties, ("late", "true")) if late else properties,
            expendable=isinstance(event, TurnStarted),
            seq=event.seq,
        )

    def _gone(self, name: str) -> Message:
        """What takes a retained message back: it is no longer so."""
        return Message(self._topics[name], "", retain=True, content_type=JSON)

    def _notice_of(self, event: SessionStarted) -> Message:
        told = Notice(session=event.session, time=event.time, notice=self._notice)
        return Message(self._topics["notice"], dumps(told), retain=True, content_type=JSON)


def name_of(event: Event) -> str:
    """The last level of an event's topic."""
    match event:
        case SessionStarted() | SessionEnded():
            return "state"
        case ListeningPaused() | ListeningResumed():
            return "listening"
        case TurnStarted() | TurnEnded() | TurnSkipped():
            return "turn"
        case MomentMarked() | SpeakerRenamed():
            return "mark"


def _speaker(event: TurnEnded, topic: str, expiry_s: int) -> Message:
    """A speaker's emotion now, without a word of what was said."""
    told = SpeakerEmotion(
        session=event.session,
        seq=event.seq,
        speaker=slug(event.speaker),
        emotion=event.emotion,
        confidence=event.confidence,
        abstained=event.abstained,
        sentiment=event.sentiment,
        time=event.end_time,
    )
    properties = (("schema", SCHEMA), ("session", event.session))
    return Message(topic, dumps(told), True, JSON, properties, expendable=True, expiry_s=expiry_s)


def preview_message(topics: Topics, preview: Preview, text: bool) -> Message:
    """What a turn under way comes to so far: lost where there is no connection or no subscriber."""
    properties = (("schema", SCHEMA), ("session", preview.session))
    payload = to_json(preview if text else without_words(preview))
    return Message(topics["partial"], payload, retain=False, content_type=JSON, user_properties=properties, qos=0)


def metrics(topics: Topics, values: PublishedMetrics) -> Message:
    """The metrics as a message: the broker keeps the latest, but one is lost where the connection is."""
    return Message(topics["metrics"], dumps(values), retain=True, content_type=JSON, qos=0)
