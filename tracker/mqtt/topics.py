"""What is published where. Everything lies under ``<base>/<node>``; the node names one tracker among others.

topic             retained  QoS  what
status            yes       1    ``online`` or ``offline``; the broker says ``offline`` when the tracker is lost
state             yes       1    session.started, then session.ended
listening         yes       1    listening.paused, listening.resumed: the latest, where the session was ever paused
notice            yes       1    what people who are listened to are told, while a session runs
turn              no        1    turn.started, then turn.ended or turn.skipped, under one turn number
partial           no        0    turn.partial, where that is wanted: what a turn under way comes to; the latest only
mark              no        1    moment.marked, speaker.renamed
speaker/<id>      yes       1    a speaker's emotion in the latest turn; expires, and goes when the session ends
late              no        1    events of an earlier run that could not be delivered then, exactly as they were
metrics           yes       0    how the publishing and the session go, whenever nothing is left to deliver
cmd/<command>     -         1    commands: pause, resume, stop, mark, rename; obeyed only with `mqtt.commands`
cmd/reply         no        1    its answers, where a command names no topic of its own for them

An event's payload is the same line of JSON everywhere; ``(session, seq)`` in it identifies the event. Topics carry ids,
never names. Where MQTT 5 is spoken, user properties tell ``schema`` and ``session``, and ``late`` for what was kept
while the broker was away.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """What is handed to the broker.

    Attributes:
        topic: Where.
        payload: UTF-8; empty takes a retained message back.
        retain: Whether the broker keeps it for later subscribers.
        content_type: MIME type, told where the protocol has a place for it.
        user_properties: Names and values, told where the protocol has a place for them.
        expendable: Whether it goes first when there is no room; what follows says the same and more.
        qos: 1 is at least once, 0 at most once.
        expiry_s: Seconds after which it is no longer true, where the protocol has a place for that; None: never.
        correlation: What the asker told his question by, or None.
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
    correlation: bytes | None = None
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
        """What all of them begin with."""
        return f"{self.base}/{self.node}"

    def __getitem__(self, name: str) -> str:
        return f"{self.root}/{name}"

    def speaker(self, speaker: str) -> str:
        """Where a speaker's emotion is."""
        return self[f"speaker/{slug(speaker)}"]


def status(topics: Topics, online: bool) -> Message:
    """Whether the tracker is there."""
    return Message(topics["status"], "online" if online else "offline", retain=True, content_type="text/plain")


def slug(name: str) -> str:
    """An id as one level of a topic: lower case, and nothing in it that MQTT gives a meaning to."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unknown"


def this_machine() -> str:
    """The node where the settings name none: the machine's name without its domain."""
    return slug(socket.gethostname().partition(".")[0])
