"""Home Assistant's MQTT discovery: one retained message that describes the tracker as a device. No I/O.

See https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload: an ``event`` entity for the turns, an
``enum`` sensor for each speaker's emotion, a sensor for each dimension of it such as valence, an ``enum`` sensor for
laughter and the like once somebody made such a sound, a binary sensor for the tracker's connectivity.
"""

from __future__ import annotations

import json
from typing import Any, final

from adapters.contract import SOUNDS
from tracker.events import Event, SessionEnded, SessionStarted, TurnEnded
from tracker.mqtt.connection import IncomingMessage
from tracker.mqtt.messages import JSON
from tracker.mqtt.topics import Message, Topics, slug

TURNS = ["turn.started", "turn.ended", "turn.skipped"]
_TAKEN = ("emotion", "sound")  # ids of other sensors, which no dimension may have


@final
class HomeAssistant:
    """Announces the device when a session begins, for each new speaker or dimension, and when Home Assistant starts.

    Args:
        topics: Of the tracker.
        prefix: Home Assistant's discovery prefix.
        expiry_s: Seconds after which a speaker's emotion is unknown again.
        forget: Whether the device is removed when a session ends.
    """

    def __init__(self, topics: Topics, prefix: str, expiry_s: int, forget: bool) -> None:
        self._topics = topics
        self._prefix = prefix
        self._expiry_s = expiry_s
        self._forget = forget
        self._started: SessionStarted | None = None
        self._speakers: dict[str, str] = {}
        self._dimensions: dict[str, str] = {}
        self._sounds = False
        self.subscriptions: tuple[str, ...] = (f"{prefix}/status",)

    @property
    def id(self) -> str:
        """The device's id; the same in every session."""
        return slug(f"{self._topics.base}-{self._topics.node}").replace("-", "_")

    def compose(self, event: Event, late: bool) -> list[Message]:  # noqa: ARG002  # late or not, the device is the same
        """The announcement, if an event changes it."""
        match event:
            case SessionStarted():
                self._started = event
                self._speakers.clear()
                self._dimensions.clear()
                self._sounds = False
                return self._announcement()
            case TurnEnded():
                known = self._known()
                self._speakers.setdefault(slug(event.speaker), event.speaker)
                for name in event.dimensions or ():
                    of = slug(name)
                    self._dimensions.setdefault(f"dimension_{of}" if of in _TAKEN else of, name)
                self._sounds = self._sounds or bool(event.sounds)
                return [] if known == self._known() else self._announcement()
            case SessionEnded() if self._forget:
                self._started = None
                return [self._config("")]
        return []

    def handle(self, message: IncomingMessage) -> list[Message]:
        """Announce the device again on Home Assistant's birth message."""
        birth = message.topic in self.subscriptions and message.payload == b"online" and not message.retained
        return self._announcement() if birth else []

    def _known(self) -> tuple[int, int, bool]:
        return len(self._speakers), len(self._dimensions), self._sounds

    def _announcement(self) -> list[Message]:
        return [self._config(json.dumps(self._payload(self._started)))] if self._started else []

    def _config(self, payload: str) -> Message:
        return Message(f"{self._prefix}/device/{self.id}/config", payload, retain=True, content_type=JSON)

    def _payload(self, started: SessionStarted) -> dict[str, Any]:
        """The device and its entities."""
        version = started.software.rpartition(" ")[2]
        parts = {"turns": self._turns(), "online": self._online()}
        for one, name in self._speakers.items():
            parts[f"emotion_{one}"] = self._emotion(one, name, started.labels)
            parts |= {f"{of}_{one}": self._dimension(one, name, of, known) for of, known in self._dimensions.items()}
            if self._sounds:
                parts[f"sound_{one}"] = self._sound(one, name)
        return {
            "~": self._topics.root,
            "dev": {"ids": [self.id], "name": f"Emotion tracker {self._topics.node}", "sw": version},
            "o": {"name": "emotion-tracker", "sw": version},
            "cmps": parts,
            "qos": 1,
        }

    def _turns(self) -> dict[str, Any]:
        return {
            "p": "event",
            "name": "Turn",
            "unique_id": f"{self.id}_turns",
            "state_topic": "~/turn",
            "event_types": TURNS,
            "value_template": "{{ dict(value_json, event_type=value_json.type) | to_json }}",
            **self._availability(),
        }

    def _online(self) -> dict[str, Any]:
        return {
            "p": "binary_sensor",
            "name": "Online",
            "unique_id": f"{self.id}_online",
            "state_topic": "~/status",
            "payload_on": "online",
            "payload_off": "offline",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
        }

    def _emotion(self, speaker: str, name: str, labels: list[str]) -> dict[str, Any]:
        return {
            "p": "sensor",
            "name": f"{name} emotion",
            "unique_id": f"{self.id}_emotion_{speaker}",
            "state_topic": f"~/speaker/{speaker}",
            "value_template": "{{ value_json.emotion if value_json is defined else None }}",
            "json_attributes_topic": f"~/speaker/{speaker}",
            "json_attributes_template": "{{ value_json | to_json if value_json is defined else '{}' }}",
            "device_class": "enum",
            "options": labels,
            "expire_after": self._expiry_s,
            **self._availability(),
        }

    def _dimension(self, speaker: str, name: str, dimension: str, called: str) -> dict[str, Any]:
        # A name is data of an adapter's, so it stands in the template as JSON's text, which cannot end early.
        place = f"(value_json.dimensions or {{}}).get({json.dumps(called, ensure_ascii=False)})"
        return {
            "p": "sensor",
            "name": f"{name} {called}",
            "unique_id": f"{self.id}_{dimension}_{speaker}",
            "state_topic": f"~/speaker/{speaker}",
            "value_template": f"{{{{ {place}.value if value_json is defined and {place} else None }}}}",
            "state_class": "measurement",
            "suggested_display_precision": 2,
            "expire_after": self._expiry_s,
            **self._availability(),
        }

    def _sound(self, speaker: str, name: str) -> dict[str, Any]:
        return {
            "p": "sensor",
            "name": f"{name} sound",
            "unique_id": f"{self.id}_sound_{speaker}",
            "state_topic": f"~/speaker/{speaker}",
            "value_template": "{{ (value_json.sounds or ['none']) | first if value_json is defined else None }}",
            "device_class": "enum",
            "options": ["none", *SOUNDS],
            "expire_after": self._expiry_s,
            **self._availability(),
        }

    @staticmethod
    def _availability() -> dict[str, Any]:
        return {"availability": [{"topic": "~/status"}]}
