"""What is published and accepted over MQTT, as an AsyncAPI 3 document made from the event models and the topics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.json_schema import models_json_schema

from tracker.events import (
    SCHEMA,
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
)
from tracker.mqtt.messages import JSON
from tracker.mqtt.payloads import Notice, PublishedMetrics, Reply, SpeakerEmotion
from tracker.mqtt.topics import Topics
from tracker.runtime.control import MAX_NAME_LENGTH, MAX_NOTE_LENGTH, REQUEST_NAMES, RequestName

VERSION = "3.0.0"
_BINDING = "0.2.0"
_TEXT = "text/plain"

_MODELS = (
    SessionStarted, ListeningPaused, ListeningResumed, SessionEnded, TurnStarted, Preview, TurnEnded, TurnSkipped,
    MomentMarked, SpeakerRenamed, SpeakerMerged, SpeakerEmotion, Notice, PublishedMetrics, Reply,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Channel:
    """One topic below the node.

    Attributes:
        name: Its key in the document.
        topic: Below the node.
        about: Its content, in a sentence.
        messages: The models that it carries; none: plain text.
        text: Name of the message in plain text.
        retain: Whether the broker keeps the latest message.
        qos: Quality of service.
    """

    name: str
    topic: str
    about: str
    messages: Sequence[type] = ()
    text: str = "Status"
    retain: bool = False
    qos: int = 1


_STATE = (SessionStarted, SessionEnded)
_LISTENING = (ListeningPaused, ListeningResumed)
_TURN = (TurnStarted, TurnEnded, TurnSkipped)
_MARK = (MomentMarked, SpeakerRenamed, SpeakerMerged)
SENT = (
    Channel("status", "status", "online or offline; offline is also the last will.", retain=True),
    Channel("presence", "presence", "Asks whether a tracker publishes as this node; it says online.", text="Question"),
    Channel("state", "state", "session.started, then session.ended.", _STATE, retain=True),
    Channel("listening", "listening", "Whether listening is paused, during a session.", _LISTENING, retain=True),
    Channel("notice", "notice", "Tells people that they are being listened to.", (Notice,), retain=True),
    Channel("turn", "turn", "The start of each turn, then its judgement or why there is none.", _TURN),
    Channel("partial", "partial", "Previews of turns under way, with turns.partials.", (Preview,), qos=0),
    Channel("mark", "mark", "Moments that users marked, names that they gave, speakers who are one.", _MARK),
    Channel("speaker", "speaker/{speaker}", "A speaker's emotion in the latest turn.", (SpeakerEmotion,), retain=True),
    Channel("late", "late", "Events that an earlier run could not deliver.", (*_STATE, *_LISTENING, *_TURN, *_MARK)),
    Channel("metrics", "metrics", "Metrics of the session and of publishing.", (PublishedMetrics,), retain=True),
)


def asyncapi(topics: Topics) -> dict[str, Any]:
    """The document for a tracker that publishes on these topics."""
    refs, schemas = models_json_schema(
        [(model, "serialization") for model in _MODELS], by_alias=True, ref_template="#/components/schemas/{model}"
    )
    del refs
    status = topics["status"]
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "emotion-tracker",
            "version": SCHEMA.rpartition("/")[2] + ".0.0",
            "description": "Who spoke, what was said, and which emotion it carried: one event for every turn.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": JSON,
        "servers": {
            "broker": {
                "host": "localhost:1883",
                "protocol": "mqtt",
                "description": "Any broker that speaks MQTT 3.1.1 or 5.",
                "bindings": {
                    "mqtt": {
                        "lastWill": {"topic": status, "qos": 1, "message": "offline", "retain": True},
                        "bindingVersion": _BINDING,
                    }
                },
            }
        },
        "channels": {channel.name: _channel(topics, channel) for channel in SENT} | _command_channels(topics),
        "operations": {f"send_{channel.name}": _send(channel) for channel in SENT} | _command_operations(),
        "components": {
            "messages": {model.__name__: _message(model) for model in _MODELS} | _other_messages(),
            "schemas": schemas["$defs"],
        },
    }


def dumps_asyncapi(topics: Topics) -> str:
    """The document as text, as ``tracker schema --asyncapi`` prints it."""
    return json.dumps(asyncapi(topics), indent=2)


def _channel(topics: Topics, channel: Channel) -> dict[str, Any]:
    names = [model.__name__ for model in channel.messages] or [channel.text]
    made: dict[str, Any] = {
        "address": topics[channel.topic],
        "description": channel.about,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
    }
    if "{speaker}" in channel.topic:
        made["parameters"] = {"speaker": {"description": "The speaker's id.", "examples": ["speaker-1"]}}
    return made


def _send(channel: Channel) -> dict[str, Any]:
    binding = {"qos": channel.qos, "retain": channel.retain, "bindingVersion": _BINDING}
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "bindings": {"mqtt": binding},
    }


def _command_channels(topics: Topics) -> dict[str, Any]:
    about = "Obeyed with mqtt.commands = true; ignored if retained."
    made: dict[str, Any] = {
        f"cmd_{name}": {
            "address": topics[f"cmd/{name}"],
            "description": about,
            "messages": {"Command": {"$ref": f"#/components/messages/{_command(name)}"}},
        }
        for name in REQUEST_NAMES
    }
    made["reply"] = {
        "address": topics["cmd/reply"],
        "description": "Replies to commands that name no response topic.",
        "messages": {"Reply": {"$ref": "#/components/messages/Reply"}},
    }
    return made


def _command_operations() -> dict[str, Any]:
    return {
        f"receive_{name}": {
            "action": "receive",
            "channel": {"$ref": f"#/channels/cmd_{name}"},
            "bindings": {"mqtt": {"qos": 1, "bindingVersion": _BINDING}},
            "reply": {"channel": {"$ref": "#/channels/reply"}},
        }
        for name in REQUEST_NAMES
    }


def _command(name: RequestName) -> str:
    return {"mark": "Note", "rename": "Rename"}.get(name, "Nothing")


def _message(model: type) -> dict[str, Any]:
    name = model.__name__
    return {
        "name": name,
        "summary": (model.__doc__ or name).strip().partition("\n")[0],
        "contentType": JSON,
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "bindings": {"mqtt": {"payloadFormatIndicator": 1, "contentType": JSON, "bindingVersion": _BINDING}},
    }


def _other_messages() -> dict[str, Any]:
    payloads: dict[str, dict[str, Any]] = {
        "Status": {"type": "string", "enum": ["online", "offline"]},
        "Question": {"type": "string", "const": "?"},
        "Nothing": {"type": "string", "description": "Ignored."},
        "Note": {"type": "string", "maxLength": MAX_NOTE_LENGTH, "description": "What to remember the moment by."},
    }
    name = {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH}
    rename = {
        "type": "object",
        "required": ["speaker", "name"],
        "properties": {
            "speaker": {**name, "description": "The speaker's id, as in turn.ended."},
            "name": {**name, "description": "What to call the speaker from now on."},
        },
    }
    plain = {name: {"name": name, "contentType": _TEXT, "payload": payload} for name, payload in payloads.items()}
    return {**plain, "Rename": {"name": "Rename", "contentType": JSON, "payload": rename}}
