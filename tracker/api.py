"""The library's one door: a session as an async context manager that gives its events."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from math import inf
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Literal, final, get_args

import anyio
from anyio import to_thread
from anyio.abc import TaskStatus

from tracker.app import session as app
from tracker.app.mqtt import NOWHERE, Broker, open_broker
from tracker.app.plan import plan, video_of
from tracker.config import Config
from tracker.errors import ConfigError, SinkError, first_of
from tracker.events import Event, SessionEnded
from tracker.metrics.gauges import Status
from tracker.metrics.model import SessionMetrics
from tracker.runtime.control import Control, Mark, Pause, Rename, Request, Resume
from tracker.sinks import Sink
from tracker.sources.media import Source
from tracker.sources.open import SourceOptions
from tracker.sources.video import NoVideo

if TYPE_CHECKING:
    from tracker.app.models import Models

log = logging.getLogger(__name__)

OnExit = Literal["finish", "abort"]
SourceLike = str | PathLike[str] | Source | app.Prepared


def load_models(config: Config | None = None, *, video: bool = False) -> Models:
    """Load every model that sessions with these settings share, pulling what is missing; takes seconds and blocks.

    Args:
        config: The settings; None: the defaults.
        video: Whether sessions will have video.

    Raises:
        AssetError: A model is missing and cannot be fetched.
        AdapterError: The adapter cannot be used.
    """
    from tracker.app import models  # brings torch and transformers, which take seconds to import

    return models.load_models(config or Config(), video)


@asynccontextmanager
async def open_session(
    source: SourceLike,
    config: Config | None = None,
    *,
    models: Models | None = None,
    sinks: Sequence[Sink] = (),
    record: str | PathLike[str] | None = None,
    publish: bool | Broker = False,
    report: Callable[[str], None] = log.info,
    on_exit: OnExit = "finish",
) -> AsyncIterator[Session]:
    """Listen to a source; iterate over the session to get its events.

    The session runs beside the block's own code, under asyncio or trio. It ends with its source; leaving the block
    earlier ends it as ``on_exit`` says, and an error in the block or a cancellation aborts it. What was judged and
    recorded until then is kept.

    Args:
        source: What the command line takes as SOURCE, or a source object such as `PushSource`.
        config: The settings; None: the defaults. No file and no environment variable is read.
        models: What `load_models` gave; None: they are loaded now.
        sinks: Take the events, too, beside those of ``config.sinks``.
        record: New or empty folder in which to keep the session, as ``config.record`` says.
        publish: Publish over MQTT, as ``config.mqtt`` says; needs asyncio.
        report: Takes sentences about what the user should know; by default they are logged.
        on_exit: ``finish`` judges what was heard; ``abort`` ends at once.

    Raises:
        ConfigError: A microphone, a camera or another live source has no declared purpose, or a setting is bad.
        SourceError: The source cannot be opened, or was lost: then once its last event was taken, or at the end of
            the block.
        TrackerError: Something else keeps the session from beginning.
        AdapterError: The adapter cannot be used.
    """
    failure: Exception | None = None
    _refuse_wrong(source, sinks, on_exit)
    async with AsyncExitStack() as stack:
        prepared = await to_thread.run_sync(_prepared, source, config or Config(), record)
        if models is None:
            models = await to_thread.run_sync(lambda: load_models(prepared.config, video=prepared.has_video))
        match publish:
            case True:
                broker = await stack.enter_async_context(open_broker(prepared.config.mqtt))
            case False:
                broker = NOWHERE
            case _:
                broker = publish
        stream = _EventStream()
        stack.callback(stream.close)
        session = Session(app.Session(prepared, models, [*sinks, stream], broker, report), stream)
        async with anyio.create_task_group() as group:
            try:
                await group.start(session._run)
                if not session._failed:
                    yield session
                session._leave(on_exit)
                await session._over.wait()
            except Exception as error:  # kept out of the group, which would wrap it
                failure = error
            finally:
                session._leave("abort")
    if failure := failure or session._failed:
        raise failure


@final
class Session:
    """A running session: iterate over it once to get its events. Made by `open_session`."""

    def __init__(self, session: app.Session, stream: _EventStream) -> None:
        self._session = session
        self._stream = stream
        self._control = Control()
        self._failed: Exception | None = None
        self._ended: SessionEnded | None = None
        self._over = anyio.Event()

    def __aiter__(self) -> Session:
        """Every event from the first one on; events wait in memory until they are taken."""
        return self

    async def __anext__(self) -> Event:
        """The next event.

        Raises:
            TrackerError: The session has failed; all its events were taken.
        """
        try:
            return await self._stream.received.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            failed, self._failed = self._failed, None
            raise failed or StopAsyncIteration from None

    def pause(self) -> None:
        """Listen no more until `resume`: a microphone is released, the turn under way ends."""
        self.request(Pause())

    def resume(self) -> None:
        """Listen again."""
        self.request(Resume())

    def mark(self, note: str = "") -> None:
        """Publish a mark at this moment.

        Raises:
            RequestError: The note is too long.
        """
        self.request(Mark(note))

    def rename(self, speaker: str, name: str) -> None:
        """Call a speaker by a name from now on.

        Raises:
            RequestError: The name is empty, or one of both is too long.
        """
        self.request(Rename(speaker, name))

    def stop(self) -> None:
        """Listen no more, and judge what was heard; called again, end at once."""
        self._control.stop()

    def request(self, request: Request) -> None:
        """Ask for one of these things as a value; returns at once.

        Raises:
            RequestError: Too many requests wait already.
        """
        self._control.request(request)

    def status(self) -> Status:
        """Levels, queues, drops and connections, as they are now."""
        return self._session.status()

    def metrics(self) -> SessionMetrics:
        """How the session goes in numbers."""
        return self._session.metrics()

    @property
    def ended(self) -> SessionEnded | None:
        """The last event, once the session is over."""
        return self._ended

    async def _run(self, *, task_status: TaskStatus[None]) -> None:
        """Run to the end. Once it has begun, a cancellation aborts the session, which then ends by itself."""
        with anyio.CancelScope() as scope:

            def begun() -> None:
                scope.shield = True
                task_status.started()

            self._stream.begun = begun
            try:
                self._ended = await self._session.run(self._control)
                if self._session.fault:
                    self._failed = SinkError(self._session.fault)
            except Exception as error:
                self._failed = first_of(error)
            self._stream.end()
            self._over.set()

    def _leave(self, how: OnExit) -> None:
        self._stream.received.close()
        self._control.drained.set()
        if how == "abort":
            self._control.aborted.set()


@final
class _EventStream:
    """The sink that an iterating program takes events from; holds whatever it has not taken."""

    name = "program"

    def __init__(self) -> None:
        self._sent, self.received = anyio.create_memory_object_stream[Event](inf)
        self.begun: Callable[[], None] | None = None

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Hold every event until it is taken; none once nobody takes them any more."""
        async for event in events:
            self._begin()
            with suppress(anyio.BrokenResourceError):
                self._sent.send_nowait(event)

    def end(self) -> None:
        """There is no further event."""
        self._begin()
        self._sent.close()

    def close(self) -> None:
        """Nobody sends or takes any more."""
        self._sent.close()
        self.received.close()

    def _begin(self) -> None:
        begun, self.begun = self.begun, None
        if begun:
            begun()


def _refuse_wrong(source: object, sinks: Sequence[object], on_exit: str) -> None:
    if not isinstance(source, str | PathLike | app.Prepared | Source):
        raise ConfigError(f"source: {type(source).__name__} has not all that a tracker.Source has; see docs/library.md")
    for sink in sinks:
        if not isinstance(sink, Sink):
            raise ConfigError(f"sinks: {type(sink).__name__} has not all that a tracker.Sink has; see docs/library.md")
    if on_exit not in get_args(OnExit):
        raise ConfigError(f"on_exit: must be one of {', '.join(get_args(OnExit))}, not {on_exit!r}")


def _prepared(source: SourceLike, config: Config, record: str | PathLike[str] | None) -> app.Prepared:
    folder = Path(record) if record else None
    if isinstance(source, app.Prepared):
        return source
    if isinstance(source, str | PathLike):
        (planned,) = plan([fspath(source)], config, folder)
        return app.prepare(planned, SourceOptions())
    return app.check(app.Prepared(source, video_of("", config) or NoVideo("no camera"), config), folder)
