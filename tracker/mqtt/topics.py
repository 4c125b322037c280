"""What is published where. Every topic begins with ``<base>/<node>``; the node names one tracker among others.

topic             retained  QoS  content
status            yes       1    ``online`` or ``offline``; also the last will
presence          no        1    ``?``: a tracker that starts asks whether another one publishes as its node
state             yes       1    session.started, then session.ended
listening         yes       1    the latest listening.paused or listening.resumed, if there was one
notice            yes       1    tells people that they are being listened to, while a session runs
turn              no        1    turn.started, then turn.ended or turn.skipped with the same turn number
partial           no        0    turn.partial, with `turns.partials`; the latest only
mark              no        1    moment.marked, speaker.renamed, speaker.merged
speaker/<id>      yes       1    a speaker's emotion in the latest turn; expires, and is removed with the session
late              no        1    events of an earlier run that could not be delivered then, unchanged
metrics           yes       1    how publishing and the session go, each time everything is delivered
cmd/<command>     -         1    commands: pause, resume, stop, mark, rename; obeyed only with `mqtt.commands`
cmd/reply         no        1    replies to commands that name no response topic

An event's payload is the same line of JSON everywhere; ``(session, seq)`` in it identifies the event. Topics carry ids,
never names. With MQTT 5, user properties carry ``schema`` and ``session``, and ``late`` on messages that waited while
the broker was unreachable.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """A message to publish.

    Attributes:
        topic: Its topic.
        payload: UTF-8; empty clears a retained message.
        retain: Whether the broker keeps it for later subscribers.
        content_type: MIME type (MQTT 5).
        user_properties: Names and values (MQTT 5).
        expendable: Whether it is dropped first when there is no room, since a later message says the same and more.
        qos: 1 is at least once, 0 at most once.
        expiry_s: Seconds after which the broker discards it (MQTT 5); None: never.
        correlation_data: That of the message it replies to (MQTT 5), or None.
        seq: Number of the event that is delivered once this message is, or None.
    """

    topic: str
    payload: str
    retain: bool
    content_type: str
    user_properties: tuple[tuple[str, str], ...] = ()
    expendable: bool = False
    qos: int = 1
    expiry_s: int | None = None
    correlation_data: bytes | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one tracker.

    Attributes:
        base: First part of every topic.
        node: Names this tracker; one level.
    """

    base: str
    node: str

    @property
    def root(self) -> str:
        """The beginning of every topic."""
        return f"{self.base}/{self.node}"

    def __getitem__(self, name: str) -> str:
        return f"{self.root}/{name}"

    def speaker(self, speaker: str) -> str:
        """The topic of a speaker's emotion."""
        return self[f"speaker/{slug(speaker)}"]


def status(topics: Topics, online: bool) -> Message:
    """Whether the tracker is online."""
    return Message(topics["status"], "online" if online else "offline", retain=True, content_type="text/plain")


def slug(name: str) -> str:
    """An id as one level of a topic: lower case, without characters that have a meaning in MQTT."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unknown"


def this_machine() -> str:
    """The default node: the machine's name without its domain."""
    return slug(socket.gethostname().partition(".")[0])
