"""One session, put together from what it listens to, loaded models and the settings."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tracker import pipeline
from tracker.app import plugins
from tracker.app.mqtt import Broker, LiveSession, publishing
from tracker.app.plan import SessionPlan
from tracker.app.video import CameraPicture, NoPicture, Picture, file_picture, vision_of
from tracker.config import Config
from tracker.errors import ConfigError
from tracker.events import SessionEnded, Stamp
from tracker.metrics.collect import MetricsCollector
from tracker.metrics.gauges import Gauges, Status
from tracker.metrics.model import SessionMetrics
from tracker.mqtt.sink import MqttSink
from tracker.mqtt.write_ahead import WriteAhead
from tracker.pipeline import Outlets, SessionInfo, Steps
from tracker.publish import SessionHeader
from tracker.purpose import kept, refuse_undeclared
from tracker.recordings.features import FeatureRecorder
from tracker.recordings.recorder import Recorder
from tracker.recordings.rerun import Rerun, expected_differences
from tracker.runtime.clock import SystemClock
from tracker.runtime.control import Control
from tracker.sinks import Sink
from tracker.sources.camera import check_camera, opencv_opener
from tracker.sources.media import Checkable, Source
from tracker.sources.open import SourceOptions, open_source, parse_source
from tracker.sources.opencv import load_opencv

if TYPE_CHECKING:
    from tracker.app.models import Models

SOFTWARE = f"emotion-tracker {version('emotion-tracker')}"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A session that could begin, as far as can be told without its models.

    Attributes:
        source: Not yet open.
        picture: What is looked at beside it.
        config: The settings.
        recorder: Keeps it, or None.
        rerun: The recorded session that is run again, or None.
    """

    source: Source
    picture: Picture
    config: Config
    recorder: Recorder | None = None
    rerun: Rerun | None = None

    @property
    def has_picture(self) -> bool:
        """Whether models for faces are needed."""
        return not isinstance(self.picture, NoPicture)


def prepare(planned: SessionPlan, options: SourceOptions) -> Prepared:
    """Refuse whatever can be refused without the models: a purpose that is missing, a device, a file; blocks a moment.

    Args:
        planned: The session.
        options: How to read its source, beside the settings.

    Raises:
        ConfigError: A microphone, a camera or another live source has no declared purpose, or its kind is not
            installed.
        SourceError: The source or the camera cannot be opened.
        SessionError: The recording's folder cannot be used.
    """
    config = planned.config
    options = replace(
        options,
        channels=config.input.channels,
        block_ms=config.input.block_ms,
        pace=config.input.pace,
        device=config.input.device,
    )
    source = open_source(planned.argument, options, plugins.source)
    picture = planned.video or file_picture(parse_source(planned.argument).target)
    return check(Prepared(source, picture, config), planned.record)


def check(prepared: Prepared, record: Path | None) -> Prepared:
    """The same, once its purpose, source and camera are found to be in order and the recording's folder is taken.

    Raises:
        TrackerError: As `prepare`.
    """
    source, picture, config = prepared.source, prepared.picture, prepared.config
    session = config.session
    if source.live or isinstance(picture, CameraPicture):
        refuse_undeclared(session.purpose, session.notice)
    if isinstance(source, Checkable):
        source.check()
    if isinstance(picture, CameraPicture):
        check_camera(picture.camera, opencv_opener(load_opencv()))
    if not record:
        return prepared
    return replace(prepared, recorder=Recorder(record, config.model_dump(mode="json"), config.record.text))


class Session:
    """One session that can be run once.

    Args:
        prepared: What it listens to, and where it is kept.
        models: Loaded once for all sessions of the process.
        sinks: Where its events go, beside the broker and the recording.
        broker: Where to publish; a broker of nobody: nowhere.
        report: Says one sentence to the user.

    Raises:
        ConfigError: It has a picture, and the models were loaded without those for faces.
    """

    def __init__(
        self,
        prepared: Prepared,
        models: Models,
        sinks: Sequence[Sink],
        broker: Broker,
        report: Callable[[str], None],
    ) -> None:
        config = prepared.config
        if prepared.has_picture and not models.looker:
            raise ConfigError(
                f"{prepared.source.name}: has a picture, but the models for faces are not loaded; "
                'load them (load_models(config, video=True)), or set video.source = ""'
            )
        self._prepared = prepared
        self._config = config
        self._models = models
        self._sinks = sinks
        self._broker = broker
        self._report = report
        self._gauges = Gauges(models.shared.load)
        self._metrics = MetricsCollector(self._gauges, lambda: models.transcriber.fallbacks)
        self._gauges.metrics = self._metrics.read
        self._recorder = recorder = prepared.recorder
        film = recorder.folder if recorder and config.record.video else None
        self._vision = vision_of(prepared.picture, film, config.record.blur_faces, report)
        if recorder:
            self._gauges.recorder = f"{recorder.folder}"
            if sentence := kept(config.record.audio, config.record.text, self._vision.film is not None):
                report(f"{recorder.folder}: {sentence}")

    def status(self) -> Status:
        """What a display shows of it."""
        return self._gauges.read()

    def metrics(self) -> SessionMetrics:
        """How it goes in numbers."""
        return self._metrics.read()

    async def run(self, control: Control) -> SessionEnded:
        """Listen until the source ends or is stopped.

        Raises:
            TrackerError: The session cannot begin, or its source was lost.
        """
        config, recorder, rerun = self._config, self._recorder, self._prepared.rerun
        if rerun:
            for sentence in expected_differences(rerun.recorded, self._models.names):
                self._report(sentence)
        live = LiveSession(recorder, control.request, self._broker, self._metrics.read)
        async with publishing(config, self._report, live) as sinks:
            self._gauges.broker = next((sink.state for sink in map(_publisher, sinks) if sink), str)
            return await pipeline.run(
                self._prepared.source,
                self._steps,
                Outlets(
                    [*self._sinks, *sinks, self._metrics],
                    recorder.record_audio if recorder and config.record.audio else None,
                    self._report,
                    self._gauges,
                ),
                self._info(),
                SystemClock(),
                control,
            )

    def _info(self) -> SessionInfo:
        if not (rerun := self._prepared.rerun):
            return SessionInfo(self._header, stamp)
        return SessionInfo(self._header, stamp, rerun.requests, rerun.ended_as)

    def _header(self, opened: Source) -> SessionHeader:
        labels = self._models.recogniser.labels
        rerun, told = self._prepared.rerun, self._config.session
        live = rerun.recorded.start.live if rerun else opened.live
        unused = () if self._prepared.has_picture else ("faces", "expressions")
        names = {part: name for part, name in self._models.names.items() if part not in unused}
        return SessionHeader(opened.name, live, opened.channels, labels, names, SOFTWARE, told.purpose, told.notice)

    def _steps(self, channels: int) -> Steps:
        from tracker.app import models

        made = models.steps(self._models, self._config, channels, SystemClock(), self._vision)
        rerun = self._prepared.rerun
        for at in rerun.pauses if rerun else ():
            made.cutter.pause(at)
        if self._recorder and self._config.record.features:
            made = replace(made, recognise=FeatureRecorder(made.recognise, self._recorder.folder, self._report))
        return made


def _publisher(sink: Sink) -> MqttSink | None:
    """The MQTT sink, also behind a log."""
    behind = sink.sink if isinstance(sink, WriteAhead) else sink
    return behind if isinstance(behind, MqttSink) else None


def stamp() -> Stamp:
    """A new session that begins now."""
    now = datetime.now(UTC)
    return Stamp(f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}", now)
