"""The messages that carry a session's events, in the order of delivery. No I/O."""

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
    SpeakerMerged,
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
    """Turns events into messages; is given every event of a session once and in order."""

    def compose(self, event: Event, late: bool) -> list[Message]:
        """The messages of an event; may be none.

        Args:
            event: The next one.
            late: Whether the broker was unreachable when it happened.
        """


@final
class EventMessages:
    """Every event on its topic, and the state that follows from it: the notice, each speaker's emotion.

    Args:
        topics: Of the tracker.
        notice: The text that tells people they are being listened to.
        speaker_expiry_s: Seconds after which a speaker's emotion is no longer current.
        text: Whether words are published.
    """

    def __init__(self, topics: Topics, notice: str = "", speaker_expiry_s: int = 600, text: bool = True) -> None:
        self._topics = topics
        self._notice = notice
        self._expiry_s = speaker_expiry_s
        self._text = text
        self._speakers: dict[str, None] = {}

    def compose(self, event: Event, late: bool) -> list[Message]:
        """The messages of an event of the running session."""
        message = self._message(event, self._topics[topic_of(event)], late)
        match event:
            case SessionStarted():
                self._speakers.clear()
                return [message, self._notice_of(event), _cleared(self._topics["listening"])]
            case TurnEnded():
                topic = self._topics.speaker(event.speaker)
                self._speakers[topic] = None
                return [message, _speaker(event, topic, self._expiry_s)]
            case SpeakerMerged():
                topic = self._topics.speaker(event.speaker)
                self._speakers.pop(topic, None)
                return [message, _cleared(topic)]
            case SessionEnded():
                topics = [*self._speakers, self._topics["listening"], self._topics["notice"]]
                return [*map(_cleared, topics), message]
        return [message]

    def late_messages(self, event: Event, late: bool = True) -> list[Message]:
        """The message of an event of an earlier run: not retained, since it is no longer current."""
        return [replace(self._message(event, self._topics["late"], late), retain=False, expendable=False)]

    def _message(self, event: Event, topic: str, late: bool) -> Message:
        properties = (("schema", SCHEMA), ("session", event.session))
        return Message(
            topic=topic,
            payload=to_json(event if self._text else without_words(event)),
            retain=topic_of(event) in ("state", "listening"),
            content_type=JSON,
            user_properties=(*properties, ("late", "true")) if late else properties,
            expendable=isinstance(event, TurnStarted),
            seq=event.seq,
        )

    def _notice_of(self, event: SessionStarted) -> Message:
        notice = Notice(session=event.session, time=event.time, notice=self._notice)
        return Message(self._topics["notice"], dumps(notice), retain=True, content_type=JSON)


def topic_of(event: Event) -> str:
    """The last level of an event's topic."""
    match event:
        case SessionStarted() | SessionEnded():
            return "state"
        case ListeningPaused() | ListeningResumed():
            return "listening"
        case TurnStarted() | TurnEnded() | TurnSkipped():
            return "turn"
        case MomentMarked() | SpeakerRenamed() | SpeakerMerged():
            return "mark"


def _cleared(topic: str) -> Message:
    """The message that clears a retained one."""
    return Message(topic, "", retain=True, content_type=JSON)


def _speaker(event: TurnEnded, topic: str, expiry_s: int) -> Message:
    """A speaker's current emotion, without words."""
    payload = SpeakerEmotion(
        session=event.session,
        seq=event.seq,
        speaker=slug(event.speaker),
        emotion=event.emotion,
        confidence=event.confidence,
        abstained=event.abstained,
        sentiment=event.sentiment,
        dimensions=event.dimensions,
        sounds=list(dict.fromkeys(sound.label for sound in event.sounds)),
        time=event.end_time,
    )
    properties = (("schema", SCHEMA), ("session", event.session))
    return Message(topic, dumps(payload), True, JSON, properties, expendable=True, expiry_s=expiry_s)


def preview_message(topics: Topics, preview: Preview, text: bool) -> Message:
    """A preview of a turn under way; lost if there is no connection or no subscriber."""
    properties = (("schema", SCHEMA), ("session", preview.session))
    payload = to_json(preview if text else without_words(preview))
    return Message(topics["partial"], payload, retain=False, content_type=JSON, user_properties=properties, qos=0)


def metrics(topics: Topics, values: PublishedMetrics) -> Message:
    """The metrics; retained, but lost if there is no connection. Acknowledged, so that a refusal is noticed."""
    return Message(topics["metrics"], dumps(values), retain=True, content_type=JSON)
