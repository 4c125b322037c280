"""Several conversations in one process: models loaded once, each session with its own state, record and topics."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath

import anyio

from tracker.app.mqtt import external, open_broker
from tracker.app.outputs import Wishes, terminal_of
from tracker.app.session import Session, load_models
from tracker.app.video import session_video
from tracker.config import Config
from tracker.errors import ConfigError, TrackerError, sentence_of
from tracker.events import SessionEnded
from tracker.metrics.collect import to_json
from tracker.metrics.gauges import Gauges
from tracker.metrics.prometheus import exposed
from tracker.mqtt.topics import slug, this_machine
from tracker.purpose import kept
from tracker.recordings.recorder import Recorder
from tracker.runtime.clock import SystemClock
from tracker.runtime.control import Control
from tracker.runtime.overload import LoadMonitor
from tracker.runtime.signals import with_signals
from tracker.sinks import Sink
from tracker.sinks.jsonl import JsonLines
from tracker.sinks.named import NamedLines
from tracker.sources.media import Source
from tracker.sources.open import FileInput, StdinInput, parse_source
from tracker.sources.video import NoVideo, VideoSource


def names_of(arguments: Sequence[str]) -> list[str]:
    """What to call each source: its file's name, ``mic`` or ``stdin``, with a number where that is taken.

    Raises:
        ConfigError: Standard input or one microphone is named twice.
    """
    names: list[str] = []
    for argument in arguments:
        named = parse_source(argument)
        if not isinstance(named, FileInput) and argument in arguments[: len(names)]:
            raise ConfigError(f"{argument}: is named twice, but can be listened to by one session only")
        stem = (
            PurePath(named.path).stem
            if isinstance(named, FileInput)
            else "stdin"
            if isinstance(named, StdinInput)
            else "mic"
        )
        name, count = slug(stem), 1
        while name in names:
            count += 1
            name = f"{slug(stem)}-{count}"
        names.append(name)
    return names


def listen_to_all(
    sources: Mapping[str, tuple[Source, VideoSource]], config: Config, wishes: Wishes, clock: SystemClock
) -> list[SessionEnded]:
    """Run a session for each source, all at once; one that fails does not end the others.

    Args:
        sources: The audio and video source of each session, by name; the name is the session's
            folder below the record's, and ends its node over MQTT.
        config: The settings that they share.
        wishes: What this run shall do.
        clock: The monotonic clock.

    Returns:
        The last event of each session.

    Raises:
        TrackerError: A session failed; all have run to their ends.
    """
    terminal = terminal_of(config, wishes)
    external(config.mqtt)
    recorders = _recorders(list(sources), config, wishes, terminal.say)
    models = load_models(config, any(not isinstance(video, NoVideo) for _, video in sources.values()))
    lines = JsonLines(sys.stdout) if wishes.json else None

    def sinks(name: str) -> list[Sink]:
        if lines:
            return [lines]
        return [NamedLines(name, terminal.say)] if config.terminal.enabled else []

    load = LoadMonitor(clock)
    made: dict[str, Session] = {}

    async def sessions(control: Control) -> list[SessionEnded]:
        async with open_broker(config.mqtt) as broker:
            for name, (source, video) in sources.items():
                say, recorder = _named(terminal.say, name), recorders.get(name)
                folder = recorder.folder if recorder and config.record.video else None
                made[name] = Session(
                    source,
                    on_its_own_node(config, name),
                    models,
                    clock,
                    recorder,
                    sinks(name),
                    say,
                    Gauges(load),
                    broker,
                    video=session_video(video, folder, config.record.blur_faces, say),
                )
            with exposed(config.metrics.port, {name: session.look for name, session in made.items()}):
                return await run_all(made, control, terminal.say)

    ended = anyio.run(with_signals, sessions, terminal.say)
    if wishes.json:
        for last, session in zip(ended, made.values(), strict=True):
            print(to_json(last.session, session.look()), file=sys.stderr)
    return ended


async def run_all(
    sessions: Mapping[str, Session], control: Control, report: Callable[[str], None]
) -> list[SessionEnded]:
    """Run sessions at the same time, each to its own end.

    Args:
        sessions: By name.
        control: Ends all of them early.
        report: Says one sentence to the user.

    Raises:
        TrackerError: As the first session that failed has raised, once all have ended.
    """
    controls = {name: Control() for name in sessions}
    ended: dict[str, SessionEnded] = {}
    failed: dict[str, Exception] = {}

    async def one(name: str) -> None:
        try:
            ended[name] = await sessions[name].run(controls[name])
        except Exception as error:  # the others go on
            failed[name] = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
            report(f"{name}: failed: {sentence_of(failed[name])}")

    async def pass_on() -> None:
        for asked in (control.drained, control.aborted):
            await asked.wait()
            for each in controls.values():
                each.stop()

    async with anyio.create_task_group() as watching:
        watching.start_soon(pass_on, name="control")
        async with anyio.create_task_group() as running:
            for name in sessions:
                running.start_soon(one, name, name=f"session {name}")
        watching.cancel_scope.cancel()
    if failed:
        name, error = next(iter(failed.items()))
        failure = TrackerError(f"{len(failed)} of {len(sessions)} sessions failed; {name}: {sentence_of(error)}")
        failure.exit_code = getattr(error, "exit_code", 1)
        raise failure from error
    return [ended[name] for name in sessions]


def _recorders(
    names: Sequence[str], config: Config, wishes: Wishes, report: Callable[[str], None]
) -> dict[str, Recorder]:
    if not wishes.record:
        return {}
    if sentence := kept(config.record.audio, config.record.text, config.record.video):
        report(f"{wishes.record}: {sentence}")
    settings = {name: on_its_own_node(config, name).model_dump(mode="json") for name in names}
    return {name: Recorder(wishes.record / name, settings[name], config.record.text) for name in names}


def on_its_own_node(config: Config, name: str) -> Config:
    """The settings of one session: topics of its own."""
    node = f"{config.mqtt.node or this_machine()}-{name}"
    return config.model_copy(update={"mqtt": config.mqtt.model_copy(update={"node": node})})


def _named(say: Callable[[str], None], name: str) -> Callable[[str], None]:
    return lambda sentence: say(f"{name}: {sentence}")
