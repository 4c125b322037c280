"""The command line: ``tracker run | replay | watch | report | export | train`` and others; ``--help`` lists them."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from typer.core import TyperGroup

from adapters.contract import AdapterError
from adapters.errors import without_controls
from tracker import config as settings
from tracker.cli import assets as assets
from tracker.cli import sessions, speakers
from tracker.cli.say import say, say_json, say_table
from tracker.errors import ConfigError, SinkError, TrackerError, sentence_of
from tracker.events import SessionEnded
from tracker.runtime.streams import STANDARD_OUTPUT, let_go

_UsageError: Any = typer.BadParameter.__base__  # of click, or of typer's own copy of it


@contextmanager
def _printable_usage() -> Iterator[None]:
    """What is wrong with the words of a command line, which typer prints, as it may be printed."""
    try:
        yield
    except _UsageError as error:
        error.message = "\n".join(map(without_controls, error.message.split("\n")))
        raise


class _Commands(TyperGroup):
    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _printable_usage():
            return super().make_context(*args, **kwargs)

    def invoke(self, *args: Any) -> Any:
        with _printable_usage():
            return super().invoke(*args)


class _PrintableLog(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(without_controls, super().format(record).split("\n")))


app = typer.Typer(
    cls=_Commands,
    help="Who spoke, what was said, and which emotion it carried: one event for every turn of a live conversation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(assets.app, name="assets")
app.add_typer(sessions.app, name="sessions")
app.add_typer(speakers.app, name="speakers")

_DEBUG = "--debug"
_HANDED_OVER = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
_UNEXPECTED = f"; this should not happen: run it again with {_DEBUG}, and report what it prints"
_ABORTED = 130  # what shells take for Ctrl-C

File = Annotated[Path | None, typer.Option("--config", help="Settings; ./config.toml where there is one.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value: override one setting.")]
Json = Annotated[bool, typer.Option("--json", help="Print events as JSON lines on standard output.")]
Mqtt = Annotated[str | None, typer.Option(help="Broker: mqtt://host[:port] or mqtts://...; 'off' for none.")]
Record = Annotated[Path | None, typer.Option(help="Folder to keep the session in; must be new or empty.")]
Pace = Annotated[str | None, typer.Option(help="Files: 'realtime' as if live, 'fast' as fast as it goes.")]
Channels = Annotated[str | None, typer.Option(help="'mix' them, or 'separate': one speaker per channel.")]


@app.callback()
def options(
    debug: Annotated[bool, typer.Option(_DEBUG, help="Log to standard error, and show tracebacks.")] = False,
) -> None:
    """Options of every command."""
    if debug:
        handler = RichHandler(console=Console(stderr=True), show_path=False)
        handler.setFormatter(_PrintableLog("%(name)s: %(message)s"))
        logging.basicConfig(level=logging.INFO, handlers=[handler])


@app.command()
def run(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...", help="mic, mic:NAME, - (a media file or raw PCM on standard input), or media files."
        ),
    ],
    pace: Pace = None,
    channels: Channels = None,
    json: Json = False,
    mqtt: Mqtt = None,
    record: Record = None,
    rate: Annotated[int, typer.Option(help="Standard input: samples per second.", min=1000, max=768_000)] = 16_000,
    stdin_channels: Annotated[int, typer.Option(help="Standard input: interleaved channels.", min=1, max=64)] = 1,
    config: File = None,
    sets: Sets = None,
) -> None:
    """Listen to a source and publish one event for every turn; several sources are as many sessions at once."""
    from tracker.cli.outputs import RunOptions
    from tracker.cli.run import run as listen

    chosen = _settings(config, sets, {"input.pace": pace, "input.channels": channels}, mqtt)
    _end(*listen(sources, chosen, RunOptions(json, record, rate, stdin_channels, plain=_debugging())))


@app.command()
def demo(
    pace: Pace = None,
    json: Json = False,
    mqtt: Mqtt = None,
    config: File = None,
    sets: Sets = None,
) -> None:
    """Listen to half a minute of a telephone call, as if it were live, and record the session."""
    from tracker.assets.store import Store
    from tracker.cli.outputs import RunOptions
    from tracker.cli.run import run as listen
    from tracker.mqtt.broker import port_or_any

    chosen = _settings(config, sets, {"input.pace": pace}, mqtt)
    over = {"mqtt.port": str(port_or_any(chosen.mqtt.port)), "record.audio": "true", "record.text": "true"}
    chosen = _settings(config, sets, {"input.pace": pace, **over}, mqtt)  # the sample is published: nothing to hide
    store = Store(chosen.assets.paths)
    assets.pull_assets(store, ["telephone-sample"])
    folder = Path("sessions") / f"demo-{datetime.now():%Y%m%d-%H%M%S}"
    sample = store.folder("telephone-sample") / "sample.wav"
    ended = listen([str(sample)], chosen, RunOptions(json, folder, plain=_debugging()))
    say(f"recorded in {folder}; to see it again: tracker replay {folder}", err=True)
    _end(*ended)


@app.command()
def replay(
    folder: Annotated[Path, typer.Argument(help="A recorded session.")],
    speed: Annotated[
        str | None,
        typer.Option(help="1 as it was, 2 twice as fast, 'max' without waiting. With --through-models: 1 or max."),
    ] = None,
    through_models: Annotated[
        bool, typer.Option("--through-models", help="Run its audio through the models again, set as it was then.")
    ] = False,
    record: Record = None,
    json: Json = False,
    mqtt: Mqtt = None,
    config: File = None,
    sets: Sets = None,
) -> None:
    """Publish a recorded session's events again, unchanged, or run its audio through the models again."""
    from tracker.cli.outputs import RunOptions
    from tracker.cli.play import play
    from tracker.cli.run import run_again

    chosen, options = _settings(config, sets, {}, mqtt), RunOptions(json, record, plain=_debugging())
    if through_models:
        if speed not in (None, "1", "max"):
            raise ConfigError(f"--speed: the models run as if live (1) or as fast as they can (max), not at {speed!r}")
        _end(run_again(folder, chosen, options, sets or [], "realtime" if speed == "1" else "fast"))
        return
    if record:
        raise ConfigError("--record: keeps what the models judge anew; add --through-models, or copy the folder")
    play(folder, chosen, options, _speed(speed or "1"))


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(help="A recorded session.")],
    b: Annotated[Path, typer.Argument(help="Another one of the same media.")],
    tolerance: Annotated[float, typer.Option(help="By how much probabilities may differ.", min=0)] = 0.0,
    json: Annotated[bool, typer.Option("--json", help="Print what changed as JSON.")] = False,
) -> None:
    """Show what changed between two sessions, turn by turn; the exit code is 0 only where nothing did."""
    from tracker.recordings.diff_text import print_diff

    if print_diff(a, b, tolerance, json, say_json if json else say):
        raise typer.Exit(1)


@app.command()
def watch(
    url: Annotated[str, typer.Argument(help="The broker: mqtt://host[:port] or mqtts://...")],
    config: File = None,
    sets: Sets = None,
) -> None:
    """Show sessions published to a broker, in the same dashboard; join at any time."""
    from tracker.cli.play import watch as look_on

    look_on(url, _settings(config, sets, {}, None), plain=_debugging())


@app.command()
def bench(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Media files, or silence.")],
    runs: Annotated[int, typer.Option(help="Figures are medians over so many runs.", min=1, max=100)] = 1,
    pace: Annotated[str, typer.Option(help="both, fast (flat out) or realtime.")] = "both",
    at_once: Annotated[int, typer.Option(help="So many conversations at the same time, in real time.", min=0)] = 0,
    stagger: Annotated[float, typer.Option(help="Seconds between their beginnings.", min=0)] = 0.0,
    soak: Annotated[float, typer.Option(help="Hours of media to loop through instead, flat out.", min=0)] = 0.0,
    baseline: Annotated[bool, typer.Option(help="Measure the naive baseline beside it.")] = True,
    beam: Annotated[int, typer.Option(help="Width of the baseline's search for words.", min=1, max=20)] = 5,
    start: Annotated[bool, typer.Option(help="Measure the start of the program, too.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")] = False,
    config: File = None,
    sets: Sets = None,
) -> None:
    """Measure speed, cost and memory on this machine, against a naive baseline in the same run."""
    from tracker.cli.bench import measure

    chosen = _settings(config, sets, {}, "off")
    if not measure(sources, chosen, runs, pace, at_once, stagger, soak, baseline, beam, start, json):
        raise typer.Exit(1)


@app.command()
def check(
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    config: File = None,
    sets: Sets = None,
) -> None:
    """Check that everything a session needs is there, and say how to fix what is missing."""
    from tracker.app import check

    findings = check.examine(_settings(config, sets, {}, None))
    say_json(check.to_json(findings)) if json else check.show(findings, Console())
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(1)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A recorded session.")],
    out: Annotated[Path | None, typer.Option(help="The page: one HTML file that needs nothing else.")] = None,
    png: Annotated[Path | None, typer.Option(help="The timeline alone, as a picture.")] = None,
    audio: Annotated[bool, typer.Option(help="Put the audio of each turn into the page, where it was kept.")] = True,
) -> None:
    """Write a recorded session as one HTML page."""
    from tracker.recordings.report.write import write_report

    if out is None and png is None:
        raise ConfigError("tracker report: name a file with --out FILE.html, --png FILE.png, or both")
    write_report(folder, out, png, audio)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="A recorded session.")],
    format: Annotated[str | None, typer.Option(help="vtt, srt, rttm, csv, parquet, emotionml or eaf.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file; its extension tells the format. - prints it.")] = None,
    bom: Annotated[bool, typer.Option("--bom", help="CSV: begin with the mark by which Excel knows UTF-8.")] = False,
    guard: Annotated[
        bool, typer.Option("--guard-formulas", help="CSV: an apostrophe before text that would be a formula.")
    ] = False,
) -> None:
    """Write a recorded session in the format of another program."""
    from tracker.recordings.exports.write import export_session

    export_session(folder, format, out, bom=bom, guard=guard)


@app.command()
def devices() -> None:
    """List the microphones and cameras."""
    from tracker.sources.devices import list_cameras

    try:
        _print_microphones()
    finally:
        for path, name in list_cameras():
            say(f"camera {path.removeprefix('/dev/video')}  {name} ({path})")


def _print_microphones() -> None:
    from tracker.sources.devices import list_devices

    rows = []
    for device in list_devices():
        rate, default = f"{device.default_rate_hz} Hz", "default" if device.is_default else ""
        rows.append((str(device.index), device.name, device.host_api, str(device.channels), rate, default))
    if not rows:
        raise TrackerError("no microphone was found; connect one, or give tracker run a media file")
    say_table(("index", "name", "system", "channels", "rate", ""), rows, width=150)


@app.command()
def schema(
    asyncapi: Annotated[bool, typer.Option("--asyncapi", help="The AsyncAPI 3 document.")] = False,
    config: File = None,
    sets: Sets = None,
) -> None:
    """Print the JSON Schema of all events, or the AsyncAPI document of everything that is published and accepted."""
    if asyncapi:
        from tracker.app.mqtt import topics_of
        from tracker.mqtt.asyncapi import dumps_asyncapi

        say_json(dumps_asyncapi(topics_of(settings.load(config, sets=sets or []).mqtt)))
    else:
        from tracker.events import dumps_schema

        say_json(dumps_schema())


@app.command(context_settings=_HANDED_OVER)
def train(context: typer.Context) -> None:
    """Train an adapter; tracker train --help lists the options."""
    _hand_over("train", context.args)


@app.command(context_settings=_HANDED_OVER)
def evaluate(context: typer.Context) -> None:
    """Judge a data set with an adapter; tracker evaluate --help lists the options."""
    _hand_over("evaluate", context.args)


def main() -> None:
    """Run the command line; what a user can mend is one line, and the exit code says what kind of thing it was."""
    if _debugging():
        sys.argv = [sys.argv[0], _DEBUG, *(word for word in sys.argv[1:] if word != _DEBUG)]
    try:
        app()
    except (TrackerError, AdapterError, ExceptionGroup) as error:
        _exit(error)
    except OSError as error:
        if error.filename != STANDARD_OUTPUT:
            _exit(error, hint=_UNEXPECTED)
        let_go(sys.stdout)
        if isinstance(error, BrokenPipeError):
            sys.exit(1)  # whoever read it has enough
        _exit(SinkError(f"standard output cannot be written: {error.strerror}"))
    except Exception as error:
        _exit(error, hint=_UNEXPECTED)


def _exit(error: Exception, hint: str = "") -> None:
    if _debugging():
        sys.excepthook = _print_traceback
        raise error
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    said = str(error) if isinstance(error, AdapterError) else sentence_of(error)
    say(f"error: {said}{hint}", err=True)
    sys.exit(error.exit_code if isinstance(error, TrackerError) else 1)


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    for line in "".join(traceback.format_exception(kind, error, trace)).splitlines():
        say(line, err=True)


def _hand_over(name: str, words: list[str]) -> None:
    """Run a command of the learned half with the words that were meant for it."""
    import_module("adapters.__main__").run(name, words, program=f"tracker {name}")


def _end(*last: SessionEnded) -> None:
    """Leave with the code of an interrupted program where a session was cut short."""
    if any(event.outcome == "aborted" for event in last):
        raise typer.Exit(_ABORTED)


def _debugging() -> bool:
    return _DEBUG in sys.argv[1:]


def _settings(
    file: Path | None, sets: list[str] | None, flags: dict[str, str | None], mqtt: str | None
) -> settings.Config:
    """The settings, with the command's own flags over everything else."""
    over = [f"{key}={value}" for key, value in flags.items() if value is not None]
    if mqtt == "off":
        over.append("mqtt.enabled=false")
    elif mqtt is not None:
        over += ["mqtt.enabled=true", f"mqtt.url={mqtt}"]
    return settings.load(file, sets=[*(sets or []), *over])


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise ConfigError(f"--speed: must be a number above 0, or max, not {text!r}")
    return speed
