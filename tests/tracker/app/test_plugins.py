"""Plug-ins of another package, installed beside the tracker and used by the program."""

import json
import os
import socket
import subprocess
import sys
import threading

import pytest
import soundfile

from tests.support import TOP
from tests.support.command import telephone, tracker, turns
from tracker.app import plugins
from tracker.errors import ConfigError
from tracker.sinks.jsonl import to_file

PACKAGE = TOP / "tests" / "support" / "example_plugin"
OFFLINE = ("--pace", "fast", "--json", "--mqtt", "off", "--set", "session.purpose=research")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment in which the example package is installed."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*command, "--target", str(site), str(PACKAGE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return os.environ | {"PYTHONPATH": str(site)}


def serve(data: bytes) -> int:
    """The port of a server that sends some bytes to whoever connects first."""
    listening = socket.create_server(("127.0.0.1", 0))

    def send() -> None:
        with listening, listening.accept()[0] as connection:
            connection.sendall(data)

    threading.Thread(target=send, daemon=True).start()
    return listening.getsockname()[1]


@pytest.mark.models
def test_a_source_a_sink_and_a_recogniser_of_another_package(installed, tmp_path):
    samples, _ = soundfile.read(telephone(), dtype="int16")
    port = serve(samples[6 * 16_000 : 16 * 16_000].tobytes())
    chosen = ("--set", "recognise.recogniser=keywords", "--set", 'sinks.counts.path="counts.json"')
    done = tracker("run", f"tcp://127.0.0.1:{port}", *OFFLINE, *chosen, folder=tmp_path, environment=installed)
    assert (done.code, done.said) == (0, "")
    assert done.events[0].labels == ["calm", "pleased", "upset"]
    assert (done.events[0].source, done.events[0].live) == ("tcp", True)
    found = turns(done.events)
    assert found[0].emotion == "pleased"
    assert found[0].sentiment == "positive"
    counts = json.loads((tmp_path / "counts.json").read_text())
    assert sum(counts.values()) == len(found)


def test_a_plug_in_that_refuses_its_settings_is_one_line(installed, tmp_path):
    for arguments, said in [
        (("tcp://nowhere",), "error: tcp://nowhere: name a host and a port, as in tcp://192.0.2.7:5000\n"),
        ((str(telephone()), "--set", "sinks.counts.nothing=1"), "error: sinks.counts: takes path and nothing else"),
        (("udp://nowhere",), "error: udp://nowhere: 'udp' is not installed; there are: file, mic, stdin, tcp\n"),
    ]:
        done = tracker("run", *arguments, *OFFLINE, folder=tmp_path, environment=installed)
        assert done.code in (2, 3)
        assert done.said.startswith(said)
        assert done.said.count("\n") == 1


class Entry:
    """Stands in for an installed entry point."""

    def __init__(self, loaded):
        self.name = "mine"
        self.dist = None
        self._loaded = loaded

    def load(self):
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


def fails(*_):
    raise ValueError("oh")


def test_a_plug_in_that_takes_its_settings_apart_leaves_those_of_others_as_they_are(monkeypatch):
    entry = Entry(lambda table: to_file({"path": table.pop("path")}))
    monkeypatch.setattr(plugins, "entry_points", lambda **_: [entry])
    tables = {"mine": {"path": "events.jsonl"}}
    plugins.sinks(tables)
    assert tables == {"mine": {"path": "events.jsonl"}}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([Entry(ImportError("no module named x"))], "'mine' of an unknown package fails: ImportError"),
        ([Entry(fails)], "the plug-in 'mine' fails: ValueError: oh"),
        ([Entry(lambda *_: object())], "the plug-in 'mine' makes object, which is no Sink"),
        (
            [Entry(fails), Entry(fails)],
            "'mine' is provided by an unknown package, an unknown package; uninstall all but one",
        ),
    ],
)
def test_a_wrong_plug_in_is_one_line_that_names_it(monkeypatch, entries, message):
    monkeypatch.setattr(plugins, "entry_points", lambda **_: entries)
    with pytest.raises(ConfigError, match=message) as raised:
        plugins.sinks({"mine": {}})
    assert str(raised.value).startswith("sinks.mine: ")
    assert "\n" not in str(raised.value)
