import json

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sessions import conversation, given_out
from tests.tracker.mqtt.test_sink import TOPICS, ScriptedBroker
from tracker.mqtt.commands import LONGEST_NOTE, NAMES, Commands, Refused, note_in
from tracker.mqtt.connection import Heard


class Session:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def pause(self) -> None:
        self.asked.append("pause")

    def resume(self) -> None:
        self.asked.append("resume")

    def stop(self) -> None:
        self.asked.append("stop")

    def mark(self, note: str) -> None:
        self.asked.append(f"mark {note}")


def command(name: str, payload: bytes = b"", **more) -> Heard:
    return Heard(TOPICS[f"cmd/{name}"], payload, **more)


def test_commands_are_obeyed_and_answered():
    session = Session()
    commands = Commands(TOPICS, session)
    answers = [answer for name in NAMES for answer in commands.heard(command(name, b" over there\n"))]
    assert session.asked == ["pause", "resume", "stop", "mark over there"]
    assert [json.loads(answer.payload)["command"] for answer in answers] == list(NAMES)
    assert {answer.topic for answer in answers} == {"et/desk/cmd/reply"}
    assert all(json.loads(answer.payload)["ok"] for answer in answers)
    assert not any(answer.retain for answer in answers)


def test_an_answer_goes_where_the_asker_wants_it():
    (answer,) = Commands(TOPICS, Session()).heard(command("pause", reply_to="my/inbox", correlation=b"\x07"))
    assert (answer.topic, answer.correlation) == ("my/inbox", b"\x07")


def test_what_is_no_command_or_an_old_one_is_passed_over():
    session = Session()
    commands = Commands(TOPICS, session)
    assert commands.heard(command("stop", retained=True)) == []
    assert commands.heard(command("reply", b"{}")) == []
    assert commands.heard(Heard("homeassistant/status", b"online")) == []
    assert session.asked == []


@pytest.mark.parametrize("note", [b"\xff", b"x" * (LONGEST_NOTE + 1)])
def test_a_note_that_cannot_be_taken_is_refused_with_the_reason(note):
    session = Session()
    (answer,) = Commands(TOPICS, session).heard(command("mark", note))
    told = json.loads(answer.payload)
    assert (told["ok"], session.asked) == (False, [])
    assert told["error"].startswith("the note must")


@given(st.binary(max_size=300))
def test_a_note_is_short_and_printable(payload):
    try:
        note = note_in(payload)
    except Refused:
        return
    assert len(note) <= LONGEST_NOTE
    assert not note or note.isprintable()


@pytest.mark.anyio
async def test_a_session_hears_commands_while_it_publishes():
    broker, session = ScriptedBroker(None), Session()
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
        await broker.sink(listeners=[Watched(TOPICS, session)]).run(events())
    assert session.asked == ["mark here"]
    assert "et/desk/cmd/reply" in {message.topic for message in broker.received}
