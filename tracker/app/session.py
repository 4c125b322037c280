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
from tracker.app.video import file_video, session_video
from tracker.app.voices import known_voices
from tracker.config import Config
from tracker.errors import ConfigError
from tracker.events import SessionEnded, Stamp
from tracker.metrics.collect import MetricsCollector
from tracker.metrics.gauges import Gauges, Status
from tracker.metrics.model import SessionMetrics
from tracker.mqtt.sink import MqttSink
from tracker.mqtt.write_ahead import WriteAhead
from tracker.observe.speakers import EnrolledVoice
from tracker.pipeline import Outlets, SessionInfo, Steps
from tracker.publish import SessionHeader
from tracker.purpose import kept, refuse_undeclared
from tracker.recordings.features import FeatureRecorder
from tracker.recordings.recorder import Recorder
from tracker.recordings.rerun import Rerun, expected_differences
from tracker.runtime.clock import SystemClock
from tracker.runtime.control import Control
from tracker.sinks import Sink
from tracker.sources.camera import check_camera, opencv_capture
from tracker.sources.media import Checkable, Source
from tracker.sources.open import SourceOptions, open_source, parse_source
from tracker.sources.opencv import load_opencv
from tracker.sources.video import CameraVideo, NoVideo, VideoSource

if TYPE_CHECKING:
    from tracker.app.models import Models

SOFTWARE = f"emotion-tracker {version('emotion-tracker')}"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A session that could begin, as far as can be told without its models.

    Attributes:
        source: Not yet open.
        video: The video beside its audio.
        config: The settings.
        recorder: Keeps it, or None.
        sinks: Those of the settings' ``[sinks.NAME]`` tables.
        rerun: The recorded session that is run again, or None.
        enrolled: Voices that are known before it.
    """

    source: Source
    video: VideoSource
    config: Config
    recorder: Recorder | None = None
    sinks: Sequence[Sink] = ()
    rerun: Rerun | None = None
    enrolled: Sequence[EnrolledVoice] = ()

    @property
    def has_video(self) -> bool:
        """Whether models for faces are needed."""
        return not isinstance(self.video, NoVideo)


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
        track=config.input.track,
        pace=config.input.pace,
        device=config.input.device,
    )
    source = open_source(planned.argument, options, plugins.source)
    video = planned.video or file_video(parse_source(planned.argument).target)
    return check(Prepared(source, video, config), planned.record)


def check(prepared: Prepared, record: Path | None) -> Prepared:
    """The same, once purpose, source, camera and sinks are found to be in order and the recording's folder is taken.

    Raises:
        TrackerError: As `prepare`.
    """
    source, video, config = prepared.source, prepared.video, prepared.config
    session = config.session
    if source.live or isinstance(video, CameraVideo):
        refuse_undeclared(session.purpose, session.notice)
    if isinstance(source, Checkable):
        source.check()
    if isinstance(video, CameraVideo):
        check_camera(video.camera, opencv_capture(load_opencv()))
    enrolled = known_voices(config.speakers, datetime.now(UTC))
    prepared = replace(prepared, sinks=plugins.sinks(config.sinks), enrolled=enrolled)
    if not record:
        return prepared
    return replace(prepared, recorder=Recorder(record, config.model_dump(mode="json"), config.record.text))


class Session:
    """One session that can be run once.

    Args:
        prepared: What it listens to, and where it is kept.
        models: Loaded once for all sessions of the process.
        sinks: Where its events go, beside the broker, the recording and the sinks of the settings.
        broker: Where to publish; a broker of nobody: nowhere.
        report: Says one sentence to the user.

    Raises:
        ConfigError: The models were loaded without those that it needs for faces or for the ends of turns.
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
        if prepared.has_video and not models.new_face_reader:
            raise ConfigError(
                f"{prepared.source.name}: has video, but the models for faces are not loaded; "
                'load them (load_models(config, video=True)), or set video.source = ""'
            )
        if config.turns.endpoint == "adaptive" and not models.complete:
            raise ConfigError("turns.endpoint: the models were loaded without the one for adaptive; load them with it")
        self._prepared = prepared
        self._config = config
        self._models = models
        self._sinks = [*sinks, *prepared.sinks]
        self._broker = broker
        self._report = report
        self._gauges = Gauges(models.shared.load)
        self._metrics = MetricsCollector(self._gauges, lambda: models.transcriber.fallbacks)
        self._gauges.metrics = self._metrics.read
        self._recorder = recorder = prepared.recorder
        folder = recorder.folder if recorder and config.record.video else None
        self._video = session_video(prepared.video, folder, config.record.blur_faces, self._not_kept)
        if recorder:
            self._gauges.recorder = f"{recorder.folder}"
            if sentence := kept(config.record.audio, config.record.text, self._video.record_to is not None):
                report(f"{recorder.folder}: {sentence}")

    def status(self) -> Status:
        """What a display shows of it."""
        return self._gauges.read()

    def metrics(self) -> SessionMetrics:
        """How it goes in numbers."""
        return self._metrics.read()

    @property
    def fault(self) -> str:
        """Once it is over, why it is not recorded as was asked for; empty where it is."""
        recorder = self._recorder
        return f"{recorder.folder}: the recording is not whole: {recorder.fault}" if recorder and recorder.fault else ""

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
            for mqtt in filter(None, map(_publisher, sinks)):
                self._gauges.broker = mqtt.state
                self._gauges.messages_refused = mqtt.refused
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

    def _not_kept(self, sentence: str) -> None:
        if self._recorder:
            self._recorder.lose(sentence)
        self._report(sentence)

    def _info(self) -> SessionInfo:
        if not (rerun := self._prepared.rerun):
            return SessionInfo(self._header, stamp)
        return SessionInfo(self._header, stamp, rerun.requests, rerun.ended_as)

    def _header(self, opened: Source) -> SessionHeader:
        labels = self._models.recogniser.labels
        rerun, told = self._prepared.rerun, self._config.session
        live = rerun.recorded.start.live if rerun else opened.live
        unused = () if self._prepared.has_video else ("faces", "expressions")
        names = {part: name for part, name in self._models.names.items() if part not in unused}
        return SessionHeader(opened.name, live, opened.channels, labels, names, SOFTWARE, told.purpose, told.notice)

    def _steps(self, channels: int) -> Steps:
        from tracker.app import models

        made = models.steps(self._models, self._config, channels, SystemClock(), self._video, self._prepared.enrolled)
        rerun = self._prepared.rerun
        for at in rerun.pauses if rerun else ():
            made.segmenter.pause(at)
        if self._recorder and self._config.record.features:
            made = replace(made, recognise=FeatureRecorder(made.recognise, self._recorder.folder, self._not_kept))
        return made


def _publisher(sink: Sink) -> MqttSink | None:
    """The MQTT sink, also behind a log."""
    behind = sink.sink if isinstance(sink, WriteAhead) else sink
    return behind if isinstance(behind, MqttSink) else None


def stamp() -> Stamp:
    """A new session that begins now."""
    now = datetime.now(UTC)
    return Stamp(f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}", now)
