"""One session or one replay, put together from the settings: models, source, sinks, broker, signals; both block."""

from __future__ import annotations

import secrets
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import anyio
from anyio.abc import TaskStatus
from rich.console import Console

from tracker import pipeline, replay
from tracker.clock import SystemClock
from tracker.config import Config, load_again
from tracker.control import Control
from tracker.dashboard.screen import Ask
from tracker.errors import ConfigError
from tracker.events import SessionEnded, Stamp
from tracker.gauges import Gauges
from tracker.past import Past, not_the_same, past_of, tracks_of
from tracker.pipeline import Outlets, Steps
from tracker.player import Player
from tracker.publisher import SessionHeader
from tracker.publishing import external, publishing
from tracker.purpose import kept, refuse_undeclared
from tracker.sinks import Sink
from tracker.sinks.address import parse_url
from tracker.sinks.commands import Commands
from tracker.sinks.credentials import login, trust
from tracker.sinks.durable import Durable
from tracker.sinks.jsonl import JsonLines
from tracker.sinks.mqtt import Listener, Mqtt
from tracker.sinks.recorder import Recorder
from tracker.sinks.terminal import Terminal, default_keyboard
from tracker.sinks.topics import Topics
from tracker.sources.media import Source
from tracker.sources.open import Microphone, Pace, check, parse_source, source_from
from tracker.sources.pacing import Paced
from tracker.sources.recorded import RecordedSource
from tracker.turns.paused import PausedCutter
from tracker.watch import Watcher

T = TypeVar("T")

SOFTWARE = f"emotion-tracker {version('emotion-tracker')}"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks of one run, beyond the settings.

    Attributes:
        json: Print events as JSON lines instead of showing them.
        record: Folder of the recorded session, or None.
        stdin_rate_hz: Rate of the samples on standard input.
        stdin_channels: How many channels are interleaved there.
        plain: Show lines even where a picture could be drawn.
    """

    json: bool = False
    record: Path | None = None
    stdin_rate_hz: int = 16_000
    stdin_channels: int = 1
    plain: bool = False


def run(argument: str, config: Config, wishes: Wishes) -> SessionEnded:
    """Listen to a source until it ends or a signal comes.

    Whatever can be refused without the models is refused before they are loaded.

    Args:
        argument: The SOURCE of the command line.
        config: The settings.
        wishes: What this run shall do.

    Raises:
        TrackerError: The session cannot begin, or its source was lost.
        AdapterError: The adapter cannot be used.
    """
    clock = SystemClock()
    if isinstance(parse_source(argument), Microphone):
        refuse_undeclared(config.session.purpose, config.session.notice)
    check(argument, sys.stdin.buffer, config.input.device)
    source = source_from(
        argument,
        clock=clock,
        stdin=sys.stdin.buffer,
        device=config.input.device,
        channels=config.input.channels,
        block_ms=config.input.block_ms,
        pace=config.input.pace,
        stdin_rate_hz=wishes.stdin_rate_hz,
        stdin_channels=wishes.stdin_channels,
    )
    return _listen(source, config, wishes, clock)


def run_again(folder: Path, config: Config, wishes: Wishes, sets: Sequence[str], pace: Pace) -> SessionEnded:
    """Run a recorded session's audio through the models again.

    Args:
        folder: The recorded session; what decides its turns is set as it was then.
        config: The other settings.
        wishes: What this run shall do.
        sets: ``section.key=value`` overrides, stronger than the session's own settings.
        pace: As if it were live, or as fast as it goes.

    Raises:
        TrackerError: The session cannot be read, holds no audio, or this run cannot begin.
        AdapterError: The adapter cannot be used.
    """
    clock = SystemClock()
    recorded = replay.read_session(folder)
    past, tracks = past_of(recorded), tracks_of(folder, recorded)
    config = load_again(config, recorded.start.config, sets)
    if config.input.channels != recorded.start.config.get("input", {}).get("channels", config.input.channels):
        raise ConfigError("input.channels: the recording holds its channels as they were, mixed or separate")
    source: Source = RecordedSource(past.source, tracks, recorded.start.channels, config.input.block_ms)
    return _listen(
        Paced(source, clock) if pace == "realtime" else source, config, wishes, clock, Again(recorded, past, tracks)
    )


@dataclass(frozen=True, slots=True)
class Again:
    """What is known of a session that runs through the models again."""

    recorded: replay.RecordedSession
    past: Past
    tracks: Sequence[tuple[int, Path]]


def _listen(
    source: Source, config: Config, wishes: Wishes, clock: SystemClock, again: Again | None = None
) -> SessionEnded:
    """Take one session from its source to its outcome."""
    terminal = _terminal(config, wishes)
    external(config.mqtt)
    recorder = None
    if wishes.record:
        recorder = Recorder(wishes.record, config.model_dump(mode="json"), config.record.text)
        if sentence := kept(config.record.audio, config.record.text):
            terminal.say(f"{wishes.record}: {sentence}")
    from tracker import parts  # torch and transformers take seconds to import: only once nothing else is wrong
    from tracker.assets.cli import pull_assets
    from tracker.assets.store import Store

    store = Store(config.assets.paths)
    pull_assets(store, parts.needed_assets(config))
    with Console(stderr=True).status("loading the models"):
        models = parts.load_models(config, store.folder)

    if again:
        for sentence in not_the_same(again.recorded, models.names):
            terminal.say(sentence)

    def header(opened: Source) -> SessionHeader:
        labels = models.recogniser.card.labels.labels
        live = again.past.live if again else opened.live
        told = config.session
        return SessionHeader(
            opened.name, live, opened.channels, labels, models.names, SOFTWARE, told.purpose, told.notice
        )

    def steps(channels: int) -> Steps:
        made = parts.steps(models, config, channels, clock)
        if again and again.past.pauses:
            cutter = PausedCutter(made.cutter, [number for number, _ in again.tracks], again.past.pauses)
            return replace(made, cutter=cutter)
        return made

    async def session(control: Control) -> SessionEnded:
        gauges = Gauges()
        gauges.recorder = f"{wishes.record}" if wishes.record else ""
        terminal.look_at(gauges.read)
        terminal.steer("live", lambda ask: obey(control, ask))

        def listeners(topics: Topics) -> list[Listener]:
            return [Commands(topics, control)] if config.mqtt.commands else []

        async with publishing(config, terminal.say, recorder, live=True, listeners=listeners) as sinks:
            gauges.broker = next((sink.state for sink in map(_publisher, sinks) if sink), str)
            audio = recorder.record_audio if recorder and config.record.audio else None
            return await pipeline.run(
                source,
                steps,
                Outlets([*_shown(config, wishes, terminal), *sinks], audio, terminal.say, gauges),
                header,
                _stamp,
                clock,
                control,
                again.past.asked if again else (),
                ended_as="stopped" if again and again.past.stopped else "completed",
            )

    return anyio.run(_with_signals, session, terminal.say)


def play(folder: Path, config: Config, wishes: Wishes, speed: float | None) -> None:
    """Give a recorded session's events to the sinks again.

    Args:
        folder: The recorded session.
        config: The settings.
        wishes: What this run shall do.
        speed: 1 is as it was, 2 twice as fast; None does not wait.

    Raises:
        TrackerError: The session cannot be read, or the broker's URL is no good.
    """
    recorded = replay.read_session(folder)
    terminal = _terminal(config, wishes)
    external(config.mqtt)
    if recorded.stop is None:
        terminal.say(f"{folder}: the recording was cut off; what there is follows")

    async def again(control: Control) -> None:
        async with publishing(config, terminal.say, live=False) as sinks:
            if speed is None:
                events = replay.replay(recorded.events, SystemClock(), speed)
            else:
                player = Player(recorded.events, SystemClock(), speed)
                terminal.follow(player.look)
                terminal.steer("replay", lambda ask: control.stop() if ask.what == "stop" else player.obey(ask))
                events = player.events()
            await replay.publish(events, [*_shown(config, wishes, terminal), *sinks], terminal.say, control.drained)

    anyio.run(_with_signals, again, terminal.say)


def watch(url: str, config: Config, plain: bool) -> None:
    """Show what a broker tells of sessions elsewhere, until stopped.

    Args:
        url: The broker's.
        config: The settings.
        plain: Show lines even where a picture could be drawn.

    Raises:
        SinkError: The URL or a file is no good.
    """
    address, mqtt = parse_url(url), config.mqtt
    who = login(mqtt.credentials_file)
    tls = trust(mqtt.ca_file, mqtt.client_cert, mqtt.client_key) if address.tls else None
    terminal = _terminal(config, Wishes(plain=plain))

    async def look_on(control: Control) -> None:
        watcher = Watcher(address, mqtt.base_topic, terminal, who, tls)
        terminal.watch()
        terminal.look_at(watcher.status)
        terminal.steer("watch", watcher.obey)
        await watcher.run(control.drained)

    anyio.run(_with_signals, look_on, terminal.say)


def obey(control: Control, ask: Ask) -> None:
    """Do what a key asks of a live session."""
    match ask.what:
        case "pause":
            control.pause()
        case "resume":
            control.resume()
        case "mark":
            control.mark(ask.text)
        case "rename":
            control.rename(ask.speaker, ask.text)
        case "stop":
            control.stop()


def _terminal(config: Config, wishes: Wishes) -> Terminal:
    """Also where it is not shown: it tells the user what has to be told."""
    console = Console(stderr=wishes.json, force_terminal=False if wishes.plain else None)
    return Terminal(console, SystemClock(), config.terminal.max_fps, config.session.notice, default_keyboard())


def _shown(config: Config, wishes: Wishes, terminal: Terminal) -> list[Sink]:
    """The sinks that print."""
    sinks: list[Sink] = [JsonLines(sys.stdout)] if wishes.json else []
    if config.terminal.enabled and not wishes.json:
        sinks.append(terminal)
    return sinks


def _publisher(sink: Sink) -> Mqtt | None:
    """The sink that talks to the broker, also where it stands behind a log."""
    behind = sink.sink if isinstance(sink, Durable) else sink
    return behind if isinstance(behind, Mqtt) else None


def _stamp() -> Stamp:
    now = datetime.now(UTC)
    return Stamp(f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}", now)


async def _with_signals(work: Callable[[Control], Awaitable[T]], report: Callable[[str], None]) -> T:
    """Run something that ends early when asked: the first Ctrl-C or SIGTERM drains, the next one ends at once."""
    control = Control()
    result: list[T] = []
    failure: Exception | None = None

    async def obey(*, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                if number == signal.SIGINT and not control.drained.is_set():
                    report("finishing what was heard; Ctrl-C again ends at once")
                control.stop()

    async with anyio.create_task_group() as group:
        await group.start(obey, name="signals")
        try:
            result.append(await work(control))
        except Exception as error:  # kept out of the group, which would wrap it
            failure = error
        group.cancel_scope.cancel()
    if failure:
        raise failure
    return result[0]
