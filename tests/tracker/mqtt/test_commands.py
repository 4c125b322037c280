import json

import anyio
import pytest

from tests.support.sessions import conversation, given_out
from tests.tracker.mqtt.test_sink import TOPICS, ScriptedBroker
from tracker.mqtt.commands import Commands
from tracker.mqtt.connection import Heard
from tracker.runtime.control import MAX_NOTE_LENGTH, REQUEST_NAMES, Mark, Pause, Rename, Resume, Stop


def command(name: str, payload: bytes = b"", **more) -> Heard:
    return Heard(TOPICS[f"cmd/{name}"], payload, **more)


def test_commands_are_obeyed_and_answered():
    requests = []
    commands = Commands(TOPICS, requests.append)
    payloads = {"mark": b" over there\n", "rename": b'{"speaker": "Speaker 1", "name": "Ada"}'}
    answers = [
        answer for name in REQUEST_NAMES for answer in commands.heard(command(name, payloads.get(name, b"whatever")))
    ]
    assert requests == [Pause(), Resume(), Stop(), Mark("over there"), Rename("Speaker 1", "Ada")]
    assert [json.loads(answer.payload)["command"] for answer in answers] == list(REQUEST_NAMES)
    assert {answer.topic for answer in answers} == {"et/desk/cmd/reply"}
    assert all(json.loads(answer.payload)["ok"] for answer in answers)
    assert not any(answer.retain for answer in answers)


def test_an_answer_goes_where_the_asker_wants_it():
    (answer,) = Commands(TOPICS, print).heard(command("pause", reply_to="my/inbox", correlation=b"\x07"))
    assert (answer.topic, answer.correlation) == ("my/inbox", b"\x07")


def test_what_is_no_command_or_an_old_one_is_passed_over():
    requests = []
    commands = Commands(TOPICS, requests.append)
    assert commands.heard(command("stop", retained=True)) == []
    assert commands.heard(command("reply", b"{}")) == []
    assert commands.heard(Heard("homeassistant/status", b"online")) == []
    assert requests == []


@pytest.mark.parametrize("note", [b"\xff", b"x" * (MAX_NOTE_LENGTH + 1)])
def test_a_note_that_cannot_be_taken_is_refused_with_the_reason(note):
    requests = []
    (answer,) = Commands(TOPICS, requests.append).heard(command("mark", note))
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
        def heard(self, heard):
            reached.set()
            return super().heard(heard)

    with anyio.fail_after(20):
        await broker.sink(listeners=[Watched(TOPICS, requests.append)]).run(events())
    assert requests == [Mark("here")]
    assert "et/desk/cmd/reply" in {message.topic for message in broker.received}
