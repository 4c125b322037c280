"""The AsyncAPI document: valid by AsyncAPI's own schema, and true of what is really published."""

import json
import re
import shutil
import subprocess

import jsonschema
import pytest

from tests.support.sessions import Script, conversation
from tracker.events import from_json
from tracker.mqtt.asyncapi import VERSION, asyncapi
from tracker.mqtt.commands import Commands
from tracker.mqtt.connection import IncomingMessage
from tracker.mqtt.messages import EventMessages, metrics
from tracker.mqtt.payloads import PublishedMetrics
from tracker.mqtt.topics import Topics, status

TOPICS = Topics("et", "desk")


@pytest.fixture(scope="module")
def document():
    return json.loads(json.dumps(asyncapi(TOPICS)))


@pytest.fixture(scope="session")
def official(tmp_path_factory):
    """AsyncAPI's JSON Schema of its documents, from its package @asyncapi/specs."""
    if not (npm := shutil.which("npm")):
        pytest.skip("no npm to fetch AsyncAPI's JSON Schema with")
    folder = tmp_path_factory.mktemp("npm")
    done = subprocess.run(
        [npm, "install", "--silent", "--no-save", "--prefix", folder, "@asyncapi/specs@6.8.1"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"AsyncAPI's JSON Schema cannot be fetched: {done.stderr[-200:]}")
    path = folder / "node_modules" / "@asyncapi" / "specs" / "schemas" / f"{VERSION}-without-$id.json"
    return json.loads(path.read_text())


@pytest.mark.asyncapi
def test_it_is_valid_by_the_official_schema(document, official):
    jsonschema.validators.validator_for(official)(official).validate(document)


def test_every_reference_leads_somewhere(document):
    def look(value):
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                place = document
                for step in value["$ref"].removeprefix("#/").split("/"):
                    place = place[step]
            for inner in value.values():
                look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)

    look(document)


def channel_of(document, topic):
    """The channel whose address a topic fits."""
    for channel in document["channels"].values():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", channel["address"]), topic):
            return channel
    raise AssertionError(f"{topic} is not in the document")


def check(document, message):
    channel = channel_of(document, message.topic)
    payloads = [document["components"]["messages"][name]["payload"] for name in channel["messages"]]
    plain = message.content_type == "text/plain"
    value = message.payload if plain else json.loads(message.payload)
    schema = {"anyOf": payloads, "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


def test_what_is_published_is_what_it_says(document):
    composer, late = EventMessages(TOPICS, "You are heard."), EventMessages(TOPICS)
    *events, last = conversation()
    merged = Script().start().merges(6, "Speaker 2", "Speaker 1").events[-1]
    events += [merged.model_copy(update={"seq": last.seq}), last.model_copy(update={"seq": last.seq + 1})]
    messages = [message for event in events for message in composer.compose(event, late=False)]
    messages += [message for event in events for message in late.late_messages(event)]
    messages += [status(TOPICS, online=True), metrics(TOPICS, PublishedMetrics(session="s"))]
    for message in messages:
        if message.payload:  # an empty one only takes a retained one back
            check(document, message)
            operation = next(
                one for one in document["operations"].values()
                if document["channels"][one["channel"]["$ref"].rpartition("/")[2]]
                is channel_of(document, message.topic)
            )  # fmt: skip
            binding = operation["bindings"]["mqtt"]
            assert (binding["qos"], binding["retain"]) == (message.qos, message.retain)
    assert from_json(messages[0].payload) == events[0]


def test_the_emotion_of_a_speaker_who_is_another_is_taken_back_once():
    composer = EventMessages(TOPICS)
    events = (
        Script().start().says(0, 1, "Speaker 1", "a").says(2, 3, "Speaker 2", "b").merges(4, "Speaker 2", "Speaker 1")
    )
    composed = [composer.compose(event, late=False) for event in events.end(5)]
    mark, cleared = composed[-2]
    assert mark.topic == TOPICS["mark"]
    assert (cleared.topic, cleared.payload, cleared.retain) == (TOPICS.speaker("Speaker 2"), "", True)
    assert [message.topic for message in composed[-1] if "/speaker/" in message.topic] == [TOPICS.speaker("Speaker 1")]


def test_what_is_accepted_and_answered_is_what_it_says(document):
    commands = Commands(TOPICS, print)
    for topic in commands.subscriptions:
        channel_of(document, topic)
        for payload in (b"", b"\xff"):
            for answer in commands.handle(IncomingMessage(topic, payload)):
                check(document, answer)
