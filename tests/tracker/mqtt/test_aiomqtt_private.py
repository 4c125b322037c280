"""Private names of aiomqtt and paho that `tracker.mqtt.aiomqtt_private` uses are still there, and only it uses any."""

import asyncio
import inspect
import re
from importlib.metadata import version
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

import tracker
from tracker.mqtt import aiomqtt_private
from tracker.mqtt.aiomqtt_private import CLOSED, NO_ANSWER, PACKET_TOO_LARGE, Client

MOVED = f"aiomqtt {version('aiomqtt')} is not as {aiomqtt_private.__name__} has it: read its Client anew, and the pin"


def test_the_version_is_the_one_that_was_read():
    assert version("aiomqtt").startswith("2.5."), MOVED


@pytest.mark.anyio
async def test_the_names_are_where_they_were():
    overridden = getattr(aiomqtt.Client, "_on_socket_register_write", None)
    assert overridden, f"_on_socket_register_write is gone; {MOVED}"
    assert list(inspect.signature(overridden).parameters) == ["self", "client", "userdata", "sock"], MOVED
    client = Client("nowhere.example")
    assert getattr(client, "_loop", None) is asyncio.get_running_loop(), f"_loop is gone; {MOVED}"
    assert isinstance(getattr(client, "_disconnected", None), asyncio.Future), f"_disconnected is gone; {MOVED}"
    for name in ("on_socket_register_write", "on_connect", "on_publish", "on_message"):
        callback = getattr(client._client, name)
        assert callback.__func__ is getattr(Client, f"_{name}"), f"paho calls something else for {name}; {MOVED}"
        own, theirs = (inspect.signature(getattr(one, f"_{name}")).parameters for one in (Client, aiomqtt.Client))
        assert list(own) == list(theirs), f"_{name} takes something else; {MOVED}"


def test_the_words_are_what_they_were():
    assert f'"{NO_ANSWER}"' in inspect.getsource(aiomqtt.client), MOVED
    assert str(ReasonCode(PacketTypes.DISCONNECT, CLOSED)) == CLOSED, MOVED


def test_a_code_that_mosquitto_uses_has_a_name():
    assert str(ReasonCode(PacketTypes.PUBACK, identifier=PACKET_TOO_LARGE)) == "Packet too large", MOVED


def test_no_other_file_uses_private_names():
    found = []
    for path in Path(tracker.__file__).parent.rglob("*.py"):
        text = path.read_text("utf-8")
        if re.search(r"^\s*(import|from) (aiomqtt|paho)", text, re.M) and path != Path(aiomqtt_private.__file__):
            found += [
                f"{path.name}: {name}" for name in re.findall(r"(?:self\._\w+|\b(?!self\b|cls\b)\w+)\._[a-z]\w*", text)
            ]
            found += [f"{path.name}: a subclass" for _ in re.findall(r"\(aiomqtt\.Client\):", text)]
    assert not found, f"move these to {aiomqtt_private.__name__}"
