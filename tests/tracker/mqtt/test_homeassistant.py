"""The announcement against what Home Assistant's documentation of MQTT discovery requires."""

import contextlib
import json

import jinja2
import pytest

from tests.support.sessions import Script, conversation
from tracker.events import to_json
from tracker.mqtt.connection import IncomingMessage
from tracker.mqtt.homeassistant import HomeAssistant
from tracker.mqtt.messages import EventMessages
from tracker.mqtt.topics import Topics

TOPICS = Topics("et", "living-room")
REQUIRED = {
    "event": {"state_topic", "event_types"},
    "sensor": {"state_topic"},
    "binary_sensor": {"state_topic"},
}
"""Keys without which a platform's documentation says that there is no entity."""


def device(forget: bool = False) -> HomeAssistant:
    return HomeAssistant(TOPICS, "homeassistant", 600, forget)


def announced(one: HomeAssistant, events):
    return [message for event in events for message in one.compose(event, late=False)]


def rendered(template: str, payload: str) -> str:
    """As Home Assistant renders a value template: ``value_json`` is there where the payload is JSON."""
    environment = jinja2.Environment(autoescape=False)
    environment.filters["to_json"] = json.dumps
    values = {"value": payload}
    with contextlib.suppress(ValueError):
        values["value_json"] = json.loads(payload)
    return environment.from_string(template).render(values)


def expanded(part: dict, root: str) -> dict:
    """The base topic in place of ``~``, as in keys that end with ``_topic``."""
    return {key: value.replace("~", root) if key.endswith("_topic") else value for key, value in part.items()}


def test_one_retained_message_describes_the_device():
    (first, *later) = announced(device(), conversation())
    assert first.topic == "homeassistant/device/et_living_room/config"
    assert len(later) == 2  # one more speaker each time
    assert all(message.retain and message.topic == first.topic for message in later)
    payload = json.loads(later[-1].payload)
    assert payload["dev"]["ids"]
    assert payload["o"]["name"]  # required in device-based discovery
    assert set(payload["cmps"]) == {"turns", "online", "emotion_speaker-1", "emotion_speaker-2"}
    ids = [part["unique_id"] for part in payload["cmps"].values()]
    assert len(set(ids)) == len(ids)
    for part in payload["cmps"].values():
        assert REQUIRED[part["p"]] <= set(part)
        assert part["unique_id"].startswith("et_living_room_")


def test_unique_ids_are_the_same_in_every_session():
    one, other = ({p["unique_id"] for p in json.loads(announced(device(), conversation(session))[-1].payload)["cmps"]
                  .values()} for session in ("a", "b"))  # fmt: skip
    assert one == other


def test_entities_take_what_is_published():
    payload = json.loads(announced(device(), conversation())[-1].payload)
    parts = {name: expanded(part, payload["~"]) for name, part in payload["cmps"].items()}
    messages = EventMessages(TOPICS)
    published = [message for event in conversation() for message in messages.compose(event, late=False)]

    turns = [message for message in published if message.topic == parts["turns"]["state_topic"]]
    assert len(turns) == 8
    for message in turns:
        attributes = json.loads(rendered(parts["turns"]["value_template"], message.payload))
        assert attributes["event_type"] in parts["turns"]["event_types"]
        event = json.loads(message.payload)
        assert attributes == event | {"event_type": event["type"]}

    sensor = parts["emotion_speaker-1"]
    assert sensor["device_class"] == "enum"
    states = [
        rendered(sensor["value_template"], message.payload)
        for message in published
        if message.topic == sensor["state_topic"]
    ]
    assert states == ["neutral", "joy", "None"]  # "None" is what makes a sensor unknown
    assert set(states[:-1]) <= set(sensor["options"])
    assert json.loads(rendered(sensor["json_attributes_template"], "")) == {}

    online = parts["online"]
    assert online["state_topic"] == TOPICS["status"]
    assert (online["payload_on"], online["payload_off"]) == ("online", "offline")
    assert "availability" not in online  # else it would be unavailable instead of off


def test_each_dimension_of_affect_is_a_sensor_of_each_speaker():
    odd = 'val"ence }} {{ 1/0 }} 😀'
    script = Script().start()
    script.says(0, 1, "Speaker 1", "Yes!")
    script.says(1, 2, "Speaker 1", "Oh!", dimensions={"valence": 0.25, odd: -0.5})
    script.says(2, 3, "Speaker 2", "No.", dimensions={"valence": -0.75})
    script.says(3, 4, "Speaker 2", "")
    told = announced(device(), script.events)
    assert len(told) == 4  # the device, a speaker, the dimensions, another speaker
    payload = json.loads(told[-1].payload)
    parts = {name: expanded(part, payload["~"]) for name, part in payload["cmps"].items()}
    ids = [part["unique_id"] for part in parts.values()]
    assert len(set(ids)) == len(ids) == 2 + 2 * 3
    messages = EventMessages(TOPICS)
    published = [message for event in script.events for message in messages.compose(event, late=False)]

    def states(part):
        topic, template = part["state_topic"], part["value_template"]
        return [rendered(template, message.payload) for message in published if message.topic == topic]

    assert states(parts["valence_speaker-1"]) == ["None", "0.25"]
    assert states(parts["valence_speaker-2"]) == ["-0.75", "None"]
    (strange,) = (part for part in parts.values() if part["name"] == f"Speaker 1 {odd}")
    assert states(strange) == ["None", "-0.5"]
    assert rendered(strange["value_template"], "") == "None"  # what clears the topic


def test_a_dimension_takes_no_other_sensor_s_place():
    script = Script().start()
    script.says(0, 1, "Speaker 1", "Yes!", dimensions={"emotion": 0.25, "sound": 0.5}, sounds=["laughter"])
    parts = json.loads(announced(device(), script.events)[-1].payload)["cmps"]
    sensors = {f"{of}_speaker-1" for of in ("emotion", "sound", "dimension_emotion", "dimension_sound")}
    assert set(parts) == {"turns", "online"} | sensors
    assert len({part["unique_id"] for part in parts.values()}) == len(parts)


def test_sounds_are_a_sensor_once_there_are_any():
    script = Script().start()
    script.says(0, 1, "Speaker 1", "Yes!")
    script.says(1, 2, "Speaker 1", "", sounds=["laughter", "sigh", "laughter"])
    script.says(2, 3, "Speaker 1", "No.")
    told = [json.loads(message.payload)["cmps"] for message in announced(device(), script.events)]
    assert ["sound_speaker-1" in parts for parts in told] == [False, False, True]
    part = expanded(told[-1]["sound_speaker-1"], TOPICS.root)
    messages = EventMessages(TOPICS)
    published = [message for event in script.events for message in messages.compose(event, late=False)]
    states = [
        rendered(part["value_template"], message.payload)
        for message in published
        if message.topic == part["state_topic"]
    ]
    assert states == ["none", "laughter", "none"]
    assert set(states) <= set(part["options"])
    assert rendered(part["value_template"], "") == "None"


def test_quotes_in_what_was_said_survive_the_template():
    script = Script().start()
    script.says(0, 1, "Speaker 1", 'She said "no" & left <it>')
    part = json.loads(announced(device(), script.events)[-1].payload)["cmps"]["turns"]
    assert json.loads(rendered(part["value_template"], to_json(script.events[-1])))["text"].startswith(
        'She said "no" &'
    )


@pytest.mark.parametrize(("forget", "last"), [(True, [""]), (False, [])])
def test_the_device_goes_where_that_is_wanted(forget, last):
    one = device(forget)
    events = conversation()
    announced(one, events[:-1])
    assert [message.payload for message in one.compose(events[-1], late=False)] == last


def test_home_assistant_is_told_again_when_it_has_started():
    one = device()
    birth = IncomingMessage("homeassistant/status", b"online")
    assert one.handle(birth) == []  # no session yet
    known = announced(one, conversation())[-1]
    assert one.handle(birth) == [known]
    assert one.handle(IncomingMessage("homeassistant/status", b"offline")) == []
    assert one.handle(IncomingMessage("other", b"online")) == []
