"""``tracker run``, ``demo`` and ``replay --through-models``: sessions from the command line's words; blocks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from rich.console import Console

from tracker.api import Session, load_models, open_session
from tracker.app.mqtt import Broker, as_installed, external, open_broker
from tracker.app.plan import plan
from tracker.app.session import Prepared, check, prepare
from tracker.assets.store import Store
from tracker.cli.assets import pull_assets
from tracker.cli.outputs import RunOptions, shown, terminal_of
from tracker.cli.say import say_json
from tracker.config import Config, load_again
from tracker.dashboard.terminal import Terminal
from tracker.errors import ConfigError, SourceError, TrackerError, first_of, needs_extra, sentence_of
from tracker.events import SessionEnded
from tracker.metrics.collect import to_json
from tracker.metrics.gauges import Status
from tracker.metrics.model import SessionMetrics
from tracker.recordings.rerun import read_rerun
from tracker.runtime.clock import SystemClock
from tracker.runtime.control import Control
from tracker.runtime.memory import share_heaps
from tracker.runtime.signals import with_signals
from tracker.sinks import Sink
from tracker.sinks.deliver import MAY_TAKE_S
from tracker.sinks.lines import NamedLines
from tracker.sources.media import Source
from tracker.sources.open import Pace, SourceOptions
from tracker.sources.pacing import PacedSource
from tracker.sources.recorded_audio import RecordedSource

if TYPE_CHECKING:
    from tracker.app.models import Models


def run(arguments: Sequence[str], config: Config, options: RunOptions) -> list[SessionEnded]:
    """Listen to sources, each as a session of its own, until they end or a signal comes.

    Whatever can be refused without the models is refused before they are loaded.

    Args:
        arguments: Each SOURCE of the command line.
        config: The settings.
        options: How to run.

    Returns:
        The last event of each session.

    Raises:
        TrackerError: A session cannot begin, or its source was lost; of several, the others have run to their ends.
        AdapterError: The adapter cannot be used.
    """
    planned = plan(arguments, config, options.record)
    how = SourceOptions(stdin_rate_hz=options.stdin_rate_hz, stdin_channels=options.stdin_channels)
    return run_all({one.name: prepare(one, how) for one in planned}, config, options)


def run_again(folder: Path, config: Config, options: RunOptions, sets: Sequence[str], pace: Pace) -> SessionEnded:
    """Run a recorded session's audio through the models again.

    Args:
        folder: The recorded session; what decides its turns is set as it was then.
        config: The other settings.
        options: How to run.
        sets: ``section.key=value`` overrides, stronger than the session's own settings.
        pace: As if it were live, or as fast as it goes.

    Raises:
        TrackerError: The session cannot be read, holds no audio, or this run cannot begin.
        AdapterError: The adapter cannot be used.
    """
    rerun = read_rerun(folder)
    start = rerun.recorded.start
    config = load_again(config, start.config, sets)
    if config.input.channels != start.setting("input", "channels", config.input.channels):
        raise ConfigError("input.channels: the recording holds its channels as they were, mixed or separate")
    source: Source = RecordedSource(start.source, rerun.audio, start.channels, config.input.block_ms)
    if pace == "realtime":
        source = PacedSource(source, SystemClock())
    prepared = check(Prepared(source, rerun.video(folder), config, rerun=rerun), options.record)
    (last,) = run_all({"": prepared}, config, options)
    return last


def run_all(sessions: Mapping[str, Prepared], config: Config, options: RunOptions) -> list[SessionEnded]:
    """Run sessions at the same time; one that fails does not end the others.

    Args:
        sessions: By name; the name of an only one is empty.
        config: The settings that they share.
        options: How to run.

    Returns:
        The last event of each.

    Raises:
        TrackerError: A session failed; all have run to their ends.
    """
    terminal = terminal_of(config, options)
    config = as_installed(config, terminal.say)
    external(config.mqtt)
    serve_metrics = _metrics_server(config.metrics.port)
    models = _load_models(config, any(one.has_video for one in sessions.values()))
    shown = {name: _shown(name, config, options, terminal) for name in sessions}
    metrics: dict[str, Callable[[], SessionMetrics]] = {
        name or one.source.name: SessionMetrics for name, one in sessions.items()
    }
    summaries: list[str] = []
    opened: list[Session] = []
    if "" in sessions:  # the dashboard begins with the session's first event, before the session is at hand
        terminal.show_status(lambda: opened[0].status() if opened else Status())
        terminal.read_keys("live", lambda request: opened[0].request(request) if opened else None)

    async def run_one(name: str, broker: Broker, control: Control) -> SessionEnded:
        prepared, report = sessions[name], _named(name, terminal.say)
        async with (
            stopped_while_opening(control, prepared.source.name) as opened_it,
            open_session(prepared, models=models, sinks=shown[name], publish=broker, report=report) as session,
            anyio.create_task_group() as group,
        ):
            opened_it()
            metrics[name or prepared.source.name] = session.metrics
            opened.append(session)
            group.start_soon(_pass_on, control, session, name="control")
            try:
                async for _ in session:
                    pass
            finally:
                if session.ended:
                    summaries.append(to_json(session.ended.session, session.metrics()))
                group.cancel_scope.cancel()
        assert session.ended
        return session.ended

    async def run_each(control: Control) -> list[SessionEnded]:
        async with open_broker(config.mqtt) as broker:
            with serve_metrics(metrics):
                return await together(
                    {name: partial(run_one, name, broker) for name in sessions}, control, terminal.say
                )

    try:
        return anyio.run(with_signals, run_each, terminal.say)
    finally:
        if options.json and summaries:
            say_json("\n".join(summaries), err=True)


async def together(
    runs: Mapping[str, Callable[[Control], Awaitable[SessionEnded]]], control: Control, report: Callable[[str], None]
) -> list[SessionEnded]:
    """Run sessions at the same time, each to its own end.

    Args:
        runs: Run one, by name.
        control: Ends all of them early.
        report: Says one sentence to the user.

    Raises:
        Exception: As the only session, or the first of several that failed, has raised, once all have ended.
    """
    ended: dict[str, SessionEnded] = {}
    failed: dict[str, Exception] = {}

    async def run_one(name: str) -> None:
        try:
            ended[name] = await runs[name](control)
        except Exception as error:  # the others go on
            failed[name] = first_of(error)
            if len(runs) > 1:
                report(f"{name}: failed: {sentence_of(failed[name])}")

    async with anyio.create_task_group() as group:
        for name in runs:
            group.start_soon(run_one, name, name=f"session {name}")
    if failed:
        name, error = next(iter(failed.items()))
        if len(runs) == 1:
            raise error
        failure = TrackerError(f"{len(failed)} of {len(runs)} sessions failed; {name}: {sentence_of(error)}")
        failure.exit_code = getattr(error, "exit_code", 1)
        raise failure from error
    return [ended[name] for name in runs]


@asynccontextmanager
async def stopped_while_opening(control: Control, name: str) -> AsyncIterator[Callable[[], None]]:
    """Cancel the block if the session shall end and its source has still not been opened.

    Args:
        control: Stops the session: after a while, or at once where it is asked twice.
        name: Of the source.

    Yields:
        To be called once the source is open.

    Raises:
        SourceError: The block was cancelled.
    """
    watching = anyio.CancelScope()

    async def watch() -> None:
        with watching:
            await control.drained.wait()
            with anyio.move_on_after(MAY_TAKE_S):
                await control.aborted.wait()
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch, name="stop opening")
        yield watching.cancel
        watching.cancel()
    if group.cancel_scope.cancelled_caught:
        raise SourceError(f"{name}: was not open yet when the session was stopped")


async def _pass_on(control: Control, session: Session) -> None:
    for asked in (control.drained, control.aborted):
        await asked.wait()
        session.stop()


def _metrics_server(
    port: int,
) -> Callable[[Mapping[str, Callable[[], SessionMetrics]]], AbstractContextManager[object]]:
    """Serves metrics meanwhile, or does nothing for port 0.

    Raises:
        ExtraMissing: prometheus_client is not installed.
    """
    if port == 0:
        return nullcontext
    with needs_extra("metrics", "metrics.port"):
        from tracker.metrics.prometheus import serve_metrics
    return partial(serve_metrics, port)


def _load_models(config: Config, video: bool) -> Models:
    from tracker.app.models import needed_assets

    share_heaps()
    pull_assets(Store(config.assets.paths), needed_assets(config, video))
    with Console(stderr=True).status("loading the models"):
        return load_models(config, video=video)


def _shown(name: str, config: Config, options: RunOptions, terminal: Terminal) -> list[Sink]:
    """The sinks that print one session's events."""
    if name and not options.json:
        return [NamedLines(name, terminal.print_line)] if config.terminal.enabled else []
    return shown(config, options, terminal)


def _named(name: str, report: Callable[[str], None]) -> Callable[[str], None]:
    return (lambda sentence: report(f"{name}: {sentence}")) if name else report
