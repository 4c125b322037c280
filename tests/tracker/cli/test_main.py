"""The command line without any model: what it refuses, how it says so, and what it prints."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from jsonschema import Draft202012Validator

from adapters.contract import AdapterError
from tests.support.command import events_in
from tests.support.sessions import conversation
from tracker.cli import main
from tracker.errors import ConfigError, SinkError, SourceError
from tracker.events import TurnEnded, to_json, without_words
from tracker.recordings.format import EVENTS, START


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talk.txt.wav").write_text("Hello, this is a text.")
    (tmp_path / "empty.wav").touch()
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0, np.float32), 16_000)
    soundfile.write(tmp_path / "silence.wav", np.zeros(1600, np.float32), 16_000)


def run(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    monkeypatch.setattr(sys, "argv", ["tracker", *arguments])
    with pytest.raises(SystemExit) as ended:
        main.main()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_training_without_its_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    for name in ("adapters.evaluation.evaluate", "adapters.training.metrics"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    code, _, err = run(monkeypatch, capsys, "evaluate", "--data", ".")
    assert code != 0
    assert (
        err == "error: tracker evaluate needs sklearn, which is not installed: pip install 'emotion-tracker[train]'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("run", "nowhere.wav"), 3, "error: nowhere.wav: no such file\n"),
        (("run", "talk.txt.wav"), 3, "is not a media file that can be read"),
        (("run", "empty.wav"), 3, "empty.wav: is empty"),
        (("run", "nothing.wav"), 3, "holds no audio (its length is zero)"),
        (("run", "."), 3, "is a folder"),
        (("run", "silence.wav", "--set", "turns.vad_mode=9", "--set", "turn.x=1"), 2, "turn: there is no such setting"),
        (("run", "silence.wav", "--pace", "slow"), 2, "input.pace"),
        (("run", "silence.wav", "--config", "none.toml"), 2, "none.toml cannot be read"),
        (("run", "silence.wav", "--mqtt", "mqtt://example.org"), 6, "transcripts could be read on the way"),
        (("run", "silence.wav", "--mqtt", "mqtt://me:secret@localhost"), 6, "must not carry a user or password"),
        (("run", "silence.wav", "--record", "."), 5, "is not empty"),
        (
            ("run", "mic"),
            2,
            "session.purpose: a microphone or camera needs a declared purpose; set it to one of personal",
        ),
        (("run", "mic", "--set", "session.purpose=other", "--set", "session.notice="), 2, "session.notice: "),
        (("replay", "."), 5, "is not a recorded session"),
        (("replay", ".", "--speed", "-1"), 2, "a number above 0, or max"),
        (("replay", ".", "--through-models"), 5, "is not a recorded session"),
        (("replay", ".", "--through-models", "--speed", "2"), 2, "as if live (1) or as fast as they can (max)"),
        (("replay", ".", "--record", "again"), 2, "add --through-models, or copy the folder"),
        (("diff", ".", "."), 5, "is not a recorded session"),
        (("assets", "pull", "gpt-7"), 4, "there is no asset 'gpt-7'"),
        (("train", "--data", ".", "--out", "run", "--config", "none.toml"), 1, "error: no recipe at none.toml"),
        (("train", "--data", "nowhere", "--out", "run"), 1, "no folder nowhere: give the folder of the data sets"),
        (("evaluate", "--data", ".", "--dataset", "mled"), 1, "error: unknown data set 'mled'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(monkeypatch, capsys, arguments, code, said):
    ended, out, err = run(monkeypatch, capsys, *arguments)
    assert ended == code
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert "secret" not in err
    assert out == ""


@pytest.mark.parametrize("arguments", [(), ("frobnicate",), ("run",), ("run", "a.wav", "--rate", "zero")])
def test_a_command_that_is_none(monkeypatch, capsys, arguments):
    assert run(monkeypatch, capsys, *arguments)[0] == 2


def test_cameras_are_listed_without_a_microphone(monkeypatch, capsys):
    monkeypatch.setattr("tracker.sources.devices.list_devices", list)
    monkeypatch.setattr("tracker.sources.devices.list_cameras", lambda: [("/dev/video2", "Webcam")])
    code, out, err = run(monkeypatch, capsys, "devices")
    assert (code, out) == (1, "camera 2  Webcam (/dev/video2)\n")
    assert err.startswith("error: no microphone was found")


def test_the_schema_is_one(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "schema")
    assert code == 0
    Draft202012Validator.check_schema(json.loads(out))


def keep(session, events, **config):
    """A recording of these events that was cut off."""
    session.mkdir()
    (session / EVENTS).write_text("".join(to_json(event) + "\n" for event in events))
    first = events[0]
    start = {
        "session": first.session, "started_at": first.time, "software": first.software, "source": first.source,
        "live": first.live, "channels": first.channels, "labels": first.labels, "models": first.models,
        "config": config,
    }  # fmt: skip
    (session / START).write_text(json.dumps(start))
    return session


def test_a_replay_prints_what_was_recorded(monkeypatch, capfd, tmp_path):
    """Also of a recording that was cut off, which is said."""
    events = conversation()
    log = (keep(tmp_path / "session", events) / EVENTS).read_text()
    code, out, err = run(monkeypatch, capfd, "replay", "session", "--speed", "max", "--json", "--mqtt", "off")
    assert (code, out) == (0, log)
    assert err == "session: the recording was cut off; what there is follows\n"
    assert events_in(out) == events
    code, out, _ = run(monkeypatch, capfd, "replay", "session", "--speed", "max", "--mqtt", "off")
    assert code == 0
    assert "listening to telephone.wav" in out


def test_a_difference_is_shown_and_decides_the_exit_code(monkeypatch, capsys, tmp_path):
    a, b = conversation("a"), conversation("b")
    keep(tmp_path / "a", a)
    keep(tmp_path / "same", b)
    at = next(place for place, event in enumerate(b) if isinstance(event, TurnEnded))
    keep(tmp_path / "other", [*b[:at], b[at].model_copy(update={"emotion": "joy", "text": ""}), *b[at + 1 :]])
    keep(tmp_path / "wordless", [without_words(event) for event in b], record={"text": False})
    assert run(monkeypatch, capsys, "diff", "a", "same") == (0, "nothing changed\n", "")
    code, out, _ = run(monkeypatch, capsys, "diff", "a", "other")
    assert (code, out) == (1, "0.4-1.2 s Speaker 1: text: 'Hello?' -> ''; emotion: 'neutral' -> 'joy'\n")
    code, out, _ = run(monkeypatch, capsys, "diff", "a", "other", "--json")
    told = json.loads(out)
    assert (code, told["changed"], told["words_compared"]) == (1, True, True)
    assert [field["name"] for field in told["turns"][0]["fields"]] == ["text", "emotion"]
    code, out, _ = run(monkeypatch, capsys, "diff", "a", "wordless")
    assert (code, out) == (0, "wordless holds no words: what was said is not compared\nnothing changed\n")


def test_a_session_of_which_nothing_was_written_is_no_whole_one(monkeypatch, capsys, tmp_path):
    (tmp_path / "sessions" / "monday").mkdir(parents=True)
    assert run(monkeypatch, capsys, "sessions", "verify") == (0, "there is no recorded session in record.folder\n", "")
    code, _, err = run(monkeypatch, capsys, "sessions", "verify", "sessions/monday")
    assert (code, err) == (5, "error: sessions/monday: holds no recorded session\n")
    (tmp_path / "sessions" / "monday" / EVENTS).touch()
    for place in ("sessions", "sessions/monday"):
        code, out, _ = run(monkeypatch, capsys, "sessions", "verify", place)
        assert (code, out) == (5, "sessions/monday: is not a recorded session, there is no start.json in it\n")
        code, out, _ = run(monkeypatch, capsys, "sessions", "list", place)
        assert (code, "unreadable" in out) == (0, True)


def test_a_session_without_audio_cannot_run_through_the_models(monkeypatch, capsys, tmp_path):
    keep(tmp_path / "session", conversation())
    code, out, err = run(monkeypatch, capsys, "replay", "session", "--through-models")
    assert (code, out) == (5, "")
    assert err.startswith("error: session: its audio was not kept, so it cannot run through the models again")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SourceError("mic: gone"), 3, "error: mic: gone\n"),
        (ExceptionGroup("", [ExceptionGroup("", [SinkError("port 1 is taken")])]), 6, "error: port 1 is taken\n"),
        (AdapterError("no backbone at x"), 1, "error: no backbone at x\n"),
        (ConfigError("a; b"), 2, "error: a; b\n"),
        (KeyError("oh"), 1, "error: KeyError: 'oh'; this should not happen: run it again with --debug"),
    ],
)
def test_errors_from_inside(monkeypatch, capsys, error, code, said):
    def fail() -> None:
        raise error

    monkeypatch.setattr(main, "app", fail)
    ended, out, err = run(monkeypatch, capsys)
    assert (ended, out) == (code, "")
    assert err.startswith(said)
    monkeypatch.setattr(sys, "argv", ["tracker", "run", "--debug"])
    with pytest.raises(type(error)):
        main.main()


def test_help_needs_no_model():
    """Whoever asks for help shall not wait for torch."""
    code = "import sys; import tracker.cli.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
