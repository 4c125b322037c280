"""What is published where: the topic tree and the message of each event.

<base>/status             ``online`` or ``offline``, retained; the broker says ``offline`` when the tracker is lost
<base>/<session>/state    session.started, then session.ended, retained
<base>/<session>/turn     turn.started, turn.ended and turn.skipped, not retained
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tracker.events import SCHEMA, Event, SessionEnded, SessionStarted, TurnStarted, to_json


@dataclass(frozen=True, slots=True)
class Message:
    """What is handed to the broker, with quality of service 1: at least once.

    Attributes:
        topic: Where.
        payload: UTF-8.
        retain: Whether the broker keeps it for later subscribers.
        content_type: MIME type, told where the protocol has a place for it.
        user_properties: Names and values, told where the protocol has a place for them.
        expendable: Whether it goes first when there is no room; what follows says the same and more.
    """

    topic: str
    payload: str
    retain: bool
    content_type: str
    user_properties: tuple[tuple[str, str], ...] = ()
    expendable: bool = False


def message_of(base: str, event: Event) -> Message:
    """The message that carries an event."""
    state = isinstance(event, SessionStarted | SessionEnded)
    return Message(
        topic=f"{base}/{_level(event.session)}/{'state' if state else 'turn'}",
        payload=to_json(event),
        retain=state,
        content_type="application/json",
        user_properties=(("schema", SCHEMA), ("session", event.session)),
        expendable=isinstance(event, TurnStarted),
    )


def status(base: str, online: bool) -> Message:
    """Whether the tracker is there."""
    return Message(f"{base}/status", "online" if online else "offline", retain=True, content_type="text/plain")


def _level(session: str) -> str:
    """A session's id as one level of a topic, without what MQTT gives a meaning to."""
    return re.sub(r"[/+#$\s\x00]", "_", session)
