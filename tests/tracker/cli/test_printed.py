"""Nothing foreign reaches the terminal as it is: no command prints a control character that somebody else wrote."""

import io
import json
import re
import sys

import pytest
import typer
from rich.console import Console

from adapters.contract import LabelSet, Polarity
from tests.pictures.story import write_session
from tests.support.command import tracker
from tests.support.fakes import FakeClock
from tests.support.sessions import Script, given_out
from tracker.cli import main
from tracker.dashboard.terminal import Terminal
from tracker.errors import AssetError
from tracker.recordings.exports.write import FORMATS
from tracker.recordings.format import EVENTS, START
from tracker.sinks.lines import NamedLines
from tracker.sinks.text import printable_json
from tracker.sources.devices import AudioDevice

NASTY = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp\u2066\x7f\r\nerror: done [/foo][link=file:x]"
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def run(monkeypatch, capfd, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command, none of it with a control character."""
    monkeypatch.setattr(sys, "argv", ["tracker", *arguments])
    with pytest.raises(SystemExit) as ended:
        main.main()
    printed = capfd.readouterr()
    for stream in printed:
        stream = stream.replace("\r\n", "\n") if "csv" in arguments else stream
        assert not CONTROLS.search(stream), (arguments, stream)
        assert "this should not happen" not in stream, (arguments, stream)
    return int(ended.value.code or 0), printed.out, printed.err


def commands(group, *names):
    """Every command with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *names, name)
        else:
            yield (*names, name), command


PROGRAM = dict(commands(typer.main.get_command(main.app)))
HANDED_OVER = {
    ("train",): ["--config", "--data", "--out"],
    ("evaluate",): ["--data", "--dataset", "--adapter"],
}


def ways(words, command):
    """A command's words with something nasty in each place where a name can stand, others harmless."""
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.is_flag]
    plain = [*words, *("x" for one in arguments if one.required)]
    for at, _ in enumerate(arguments):
        yield [*words, *("x" * at), NASTY]
        yield [*words, *(NASTY if place == at else "x" for place, _ in enumerate(arguments))]
    for option in options:
        yield [*plain, option.opts[0], NASTY]
        yield [*plain, option.opts[0], f"record.folder={NASTY}\n= ["]
    for name in HANDED_OVER.get(words, []):
        yield [*words, name, NASTY]
    yield [*plain, f"--{NASTY}"]
    yield [*plain, NASTY, NASTY, NASTY]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty folder, and nothing to pull, to hear or to load."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def missing(*_args, **_more):
        raise AssetError(f"{NASTY} cannot be pulled")

    monkeypatch.setattr("tracker.assets.store.Store.folder", missing)
    monkeypatch.setattr("tracker.sources.devices.list_devices", lambda: [AudioDevice(0, NASTY, NASTY, 1, 48_000, True)])
    monkeypatch.setattr("tracker.sources.devices.list_cameras", lambda: [(f"/dev/video{NASTY}", NASTY)])
    return tmp_path


@pytest.mark.parametrize("words", PROGRAM, ids=" ".join)
def test_what_a_command_is_given_is_printed_without_control_characters(words, elsewhere, monkeypatch, capfd):
    for arguments in ways(words, PROGRAM[words]):
        code, _, err = run(monkeypatch, capfd, *arguments)
        if code not in (0, 2):
            assert err.count("\n") == 1, err


@pytest.mark.parametrize("words", PROGRAM, ids=" ".join)
def test_what_a_command_finds_is_printed_without_control_characters(words, elsewhere, monkeypatch, capfd):
    """Without arguments: devices and cameras by their names, what is missing, what is wrong in the settings."""
    (elsewhere / "config.toml").write_text(f"[mqtt]\nurl = {json.dumps(NASTY)}\n")
    run(monkeypatch, capfd, *words)
    (elsewhere / "config.toml").write_text(f"[{json.dumps(NASTY)}]\nx = 1\n")
    run(monkeypatch, capfd, *words)


def hostile_events():
    """A session in which every text is nasty."""
    labels = LabelSet("nasty", (NASTY, "joy"), (Polarity(negative=1.0), Polarity(positive=1.0)))
    script = Script(labels=labels).start(NASTY)
    script.says(0, 2, NASTY, NASTY, NASTY, unsure=NASTY, name=NASTY).says(2, 4, "b", NASTY, "joy")
    script.skips(4, 5, NASTY).marks(5, NASTY).renames(5, "b", NASTY)
    started, *rest = script.end(6, error=NASTY, dropped={NASTY: 1})
    words = {"models": {NASTY: NASTY}, "software": NASTY, "purpose": NASTY, "notice": NASTY}
    return [started.model_copy(update=words), *rest]


@pytest.fixture
def hostile(elsewhere):
    """A session in a folder with a nasty name, with a file of such a name in it, beside a damaged one."""
    name = NASTY.replace("/", "")
    write_session(elsewhere / name, hostile_events())
    (elsewhere / name / f"{name}.txt").touch()
    write_session(elsewhere / f"{name} damaged", hostile_events(), audio=False)
    start = elsewhere / f"{name} damaged" / START
    start.write_text(json.dumps(json.loads(start.read_text()) | {"session": NASTY}))
    return name


READING = [
    ["sessions", "list", "."],
    ["sessions", "show", "{}"],
    ["sessions", "verify", "."],
    ["sessions", "prune", ".", "--set", "record.audio_days=1", "--dry-run"],
    ["diff", "{}", "{}"],
    ["diff", "{}", "plain"],
    ["diff", "--json", "plain", "{}"],
    ["replay", "{}", "--speed", "max", "--mqtt", "off"],
    ["replay", "{}", "--speed", "max", "--mqtt", "off", "--json"],
    ["replay", "{}", "--through-models", "--mqtt", "off"],
    ["report", "{}", "--out", "page.html", "--png", "line.png"],
    *(["export", "{}", "--format", one] for one in FORMATS if one != "parquet"),
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_what_a_session_holds_is_printed_without_control_characters(words, elsewhere, hostile, monkeypatch, capfd):
    write_session(elsewhere / "plain", Script().start().says(0, 2, "a", "b").end(3))
    code, out, err = run(monkeypatch, capfd, *(word.format(hostile) for word in words))
    assert code in ((0, 1, 4, 5) if "." in words or "--through-models" in words else (0, 1)), err
    if words[1] == "list":
        assert "error: done [/foo][link=file:x]" in out  # no markup either
    if words[0] == "report":
        assert not CONTROLS.search((elsewhere / "page.html").read_text())
    if "." not in words:
        code, _, err = run(monkeypatch, capfd, *(word.format(f"{hostile} damaged") for word in words))
        assert code == 5
        assert err.startswith("error: ")
        assert err.count("\n") == 1


def test_json_stands_for_what_was_recorded(elsewhere, hostile, monkeypatch, capfd):
    _, out, _ = run(monkeypatch, capfd, "replay", hostile, "--speed", "max", "--mqtt", "off", "--json")
    recorded = (elsewhere / hostile / EVENTS).read_text()
    assert [json.loads(line) for line in out.splitlines()] == [json.loads(line) for line in recorded.splitlines()]
    assert json.loads(printable_json('"\x7f\x9b\U000e0001\u202e"')) == "\x7f\x9b\U000e0001\u202e"
    assert printable_json('{"a": "é 漢 😀"}') == '{"a": "é 漢 😀"}'


def test_with_debug_the_traceback_has_no_control_character_either(tmp_path):
    done = tracker("replay", NASTY, "--debug", folder=tmp_path)
    assert done.code == 1
    assert "Traceback (most recent call last):\n" in done.said
    assert "gnp" in done.said
    assert not CONTROLS.search(done.said)


@pytest.mark.anyio
async def test_the_dashboard_draws_no_foreign_control_character(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=160, height=50)
    await Terminal(console, FakeClock(), 30, notice=NASTY).run(given_out(hostile_events()))
    assert "gnp" in drawn.getvalue()
    assert not CONTROLS.search(re.sub(r"\x1b\[[\d;?]*[HJKhlm]", "", drawn.getvalue()))
    assert drawn.getvalue().count("\x1b[2J") <= 1


@pytest.mark.anyio
async def test_the_lines_of_several_sessions_carry_their_names_without_control_characters():
    printed = io.StringIO()
    terminal = Terminal(Console(file=printed, width=400), FakeClock(), 30)
    await NamedLines(NASTY, terminal.print_line).run(given_out(hostile_events()))
    assert "gnp" in printed.getvalue()
    assert not CONTROLS.search(printed.getvalue())
