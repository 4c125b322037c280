import json
import os
import re
import socket
from importlib.metadata import requires

import pytest

from tests.support.command import tracker
from tracker.app import check
from tracker.config import Config, load


def found(findings, what):
    return next(finding for finding in findings if finding.what == what)


def test_everything_is_looked_at():
    names = {finding.what for finding in check.examine(Config())}
    assert {
        "python",
        "torch",
        "model whisper-base",
        "microphone",
        "broker",
        "terminal",
        "disk of the cache",
    } <= names


def test_what_is_missing_comes_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    finding = found(check.models(Config()), "model whisper-base")
    assert (finding.state, finding.do) == ("missing", "tracker assets pull whisper-base")


def test_a_recogniser_in_a_folder_is_looked_for(tmp_path):
    name = f"{tmp_path}/"
    chosen = load(None, {}, [f"transcribe.model={name}"])
    assert found(check.models(chosen), f"model {name}").state == "missing"
    (tmp_path / "model.bin").touch()
    assert found(check.models(chosen), f"model {name}").state == "ok"
    assert found(check.models(load(None, {}, ["transcribe.model=hf:a/b"])), "model hf:a/b").state == "note"


def test_a_port_that_is_taken_and_a_broker_that_does_not_answer():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (finding,) = check.broker(load(None, {}, [f"mqtt.port={port}"]))
        assert (finding.state, "mqtt.port" in finding.do) == ("missing", True)
        (finding,) = check.broker(load(None, {}, [f"mqtt.url=mqtt://127.0.0.1:{port}"]))
        assert finding.state == "ok"
    (finding,) = check.broker(load(None, {}, [f"mqtt.url=mqtt://127.0.0.1:{port}"]))
    assert (finding.state, "cannot be reached" in finding.found) == ("note", True)


def test_another_package_that_is_imported_as_adapters(tmp_path, monkeypatch):
    assert found(check.package_adapters(), "adapters").state == "ok"
    info = tmp_path / "adapters-1.3.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: adapters\nVersion: 1.3.0\n")
    (info / "top_level.txt").write_text("adapters\n")
    monkeypatch.syspath_prepend(tmp_path)
    finding = found(check.package_adapters(), "adapters")
    assert (finding.state, "pip uninstall adapters" in finding.do) == ("missing", True)
    (tmp_path / "adapters").mkdir()
    (tmp_path / "adapters" / "__init__.py").touch()
    done = tracker("check", folder=tmp_path, environment=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert (done.code, done.out, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: another package is imported as adapters")


def test_extras_are_those_that_can_be_installed(monkeypatch):
    wanted: dict[str, int] = {}
    for requirement in requires("emotion-tracker"):
        if extra := re.search(r'extra == "(.+)"$', requirement):
            wanted[extra[1]] = wanted.get(extra[1], 0) + 1
    assert {name: len(modules) for name, (_, modules) in check.EXTRAS.items()} == {
        name: count for name, count in wanted.items() if name not in ("all", "dev")
    }
    assert {finding.state for finding in check.extras()} == {"ok"}
    monkeypatch.setattr(check, "find_spec", lambda module: module != "jinja2")
    assert found(check.extras(), "extra report").do == "for tracker report: pip install 'emotion-tracker[report]'"


def test_a_look_that_fails_is_a_finding(monkeypatch):
    def fails():
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(check, "versions", fails)
    assert found(check.examine(Config()), "versions").state == "missing"


@pytest.mark.parametrize(
    ("look", "sets", "said"),
    [
        ("outbox", ["mqtt.port=0"], "undelivered events cannot be kept there (Not a directory)"),
        ("broker", ["mqtt.url=mqtt://example.org"], "transcripts could be read on the way"),
        ("broker", ["mqtt.url=mqtt://localhost:1", "mqtt.credentials_file=none"], "none"),
        ("sinks", ["sinks.jsonl={}"], 'takes path = "FILE"'),
        ("metrics", ["metrics.port={taken}"], "is taken, so metrics cannot be served"),
    ],
)
def test_what_keeps_a_session_from_beginning_is_missing(tmp_path, monkeypatch, look, sets, said):
    (tmp_path / "state").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = str(server.getsockname()[1])
        finding = found(check.examine(load(None, {}, [one.replace("{taken}", taken) for one in sets])), look)
    assert finding.state == "missing"
    assert said in finding.found


def test_the_outbox_is_left_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (finding,) = check.outbox(Config().mqtt)
    assert finding.state == "ok"
    assert list((tmp_path / "emotion-tracker" / "outbox").iterdir()) == []


@pytest.mark.models
def test_from_the_command_line(tmp_path):
    done = tracker("check", "--json", "--set", "mqtt.enabled=false", folder=tmp_path)
    findings = json.loads(done.out)
    assert findings["usable"] is (done.code == 0)
    plain = tracker("check", "--set", "mqtt.enabled=false", folder=tmp_path)
    assert "ok      python:" in plain.out
    for finding in findings["findings"]:
        assert finding["what"] in plain.out
