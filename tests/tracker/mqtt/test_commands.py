import json

import anyio
import pytest

from tests.support.sessions import conversation, given_out
from tests.tracker.mqtt.test_sink import TOPICS, ScriptedBroker
from tracker.events import from_json
from tracker.mqtt.commands import Commands
from tracker.mqtt.connection import IncomingMessage
from tracker.runtime.control import MAX_NOTE_LENGTH, REQUEST_NAMES, Mark, Pause, Rename, Resume, Stop


def command(name: str, payload: bytes = b"", **more) -> IncomingMessage:
    return IncomingMessage(TOPICS[f"cmd/{name}"], payload, **more)


def test_commands_are_obeyed_and_answered():
    requests = []
    commands = Commands(TOPICS, requests.append)
    payloads = {"mark": b" over there\n", "rename": b'{"speaker": "Speaker 1", "name": "Ada"}'}
    answers = [
        answer for name in REQUEST_NAMES for answer in commands.handle(command(name, payloads.get(name, b"whatever")))
    ]
    assert requests == [Pause(), Resume(), Stop(), Mark("over there"), Rename("Speaker 1", "Ada")]
    assert [json.loads(answer.payload)["command"] for answer in answers] == list(REQUEST_NAMES)
    assert {answer.topic for answer in answers} == {"et/desk/cmd/reply"}
    assert all(json.loads(answer.payload)["ok"] for answer in answers)
    assert not any(answer.retain for answer in answers)


def test_an_answer_goes_where_the_asker_wants_it():
    (answer,) = Commands(TOPICS, print).handle(command("pause", response_topic="my/inbox", correlation_data=b"\x07"))
    assert (answer.topic, answer.correlation_data) == ("my/inbox", b"\x07")


@pytest.mark.parametrize("response_topic", ["me/#", "+", "a/+/b", "", "a\0b", None])
def test_an_answer_that_cannot_go_where_the_asker_wants_it_goes_where_the_others_do(response_topic):
    (answer,) = Commands(TOPICS, print).handle(command("pause", response_topic=response_topic, correlation_data=b"7"))
    assert (answer.topic, answer.correlation_data) == ("et/desk/cmd/reply", b"7")


@pytest.mark.anyio
async def test_an_answer_that_the_broker_refuses_ends_nothing():
    broker, requests = ScriptedBroker(None), []
    broker.says = [command("pause", response_topic="their/inbox"), command("resume", response_topic="my/inbox")]
    broker.refuses = {"their/inbox": "Not authorized"}
    answered = anyio.Event()

    async def events():
        await answered.wait()
        async for event in given_out(conversation()):
            yield event

    class Watched(Commands):  # type: ignore[misc]
        def handle(self, message):
            if message.response_topic == "my/inbox":
                answered.set()
            return super().handle(message)

    with anyio.fail_after(20):
        await broker.sink(handlers=[Watched(TOPICS, requests.append)]).run(events())
    assert requests == [Pause(), Resume()]
    assert [from_json(message.payload) for message in broker.events] == conversation()
    assert "my/inbox" in {message.topic for message in broker.received}
    assert broker.said == []


def test_what_is_no_command_or_an_old_one_is_passed_over():
    requests = []
    commands = Commands(TOPICS, requests.append)
    assert commands.handle(command("stop", retained=True)) == []
    assert commands.handle(command("reply", b"{}")) == []
    assert commands.handle(IncomingMessage("homeassistant/status", b"online")) == []
    assert requests == []


@pytest.mark.parametrize("note", [b"\xff", b"x" * (MAX_NOTE_LENGTH + 1)])
def test_a_note_that_cannot_be_taken_is_refused_with_the_reason(note):
    requests = []
    (answer,) = Commands(TOPICS, requests.append).handle(command("mark", note))
    told = json.loads(answer.payload)
    assert (told["ok"], requests) == (False, [])
    assert told["error"].startswith("the note must")


@pytest.mark.anyio
async def test_a_session_hears_commands_while_it_publishes():
    broker, requests = ScriptedBroker(None), []
    broker.says = [command("mark", b"here")]
    reached = anyio.Event()

    async def events():
        first, *rest = conversation()
        yield first
        await reached.wait()
        async for event in given_out(rest):
            yield event

    class Watched(Commands):  # type: ignore[misc]
        def handle(self, message):
            reached.set()
            return super().handle(message)

    with anyio.fail_after(20):
        await broker.sink(handlers=[Watched(TOPICS, requests.append)]).run(events())
    assert requests == [Mark("here")]
    assert "et/desk/cmd/reply" in {message.topic for message in broker.received}
