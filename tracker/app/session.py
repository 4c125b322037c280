"""One session of a source, put together from loaded models and the settings."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tracker import pipeline
from tracker.app.mqtt import Broker, publishing
from tracker.app.video import NO_CAMERA, SessionVideo
from tracker.config import Config
from tracker.dashboard.screen import Ask
from tracker.events import SessionEnded, Stamp
from tracker.metrics.collect import Metrics
from tracker.metrics.gauges import Gauges
from tracker.metrics.vitals import Vitals
from tracker.mqtt.commands import Commands
from tracker.mqtt.durable import Durable
from tracker.mqtt.sink import Listener, Mqtt
from tracker.mqtt.topics import Topics
from tracker.pipeline import Outlets, Steps
from tracker.publish import SessionHeader
from tracker.recordings import replay
from tracker.recordings.features import FeatureKeeper
from tracker.recordings.recorder import Recorder
from tracker.recordings.rerun import Past
from tracker.runtime.clock import Clock
from tracker.runtime.control import Control
from tracker.runtime.memory import share_heaps
from tracker.sinks import Sink
from tracker.sources.media import Source
from tracker.turns.recorded_pauses import RecordedPauses

if TYPE_CHECKING:
    from tracker.app.models import Models

SOFTWARE = f"emotion-tracker {version('emotion-tracker')}"


@dataclass(frozen=True, slots=True)
class Again:
    """What is known of a session that runs through the models again."""

    recorded: replay.RecordedSession
    past: Past
    tracks: Sequence[tuple[int, Path]]


@dataclass(frozen=True, slots=True)
class Session:
    """What one session is made of, once the models are loaded.

    Attributes:
        source: Not yet open.
        config: The settings.
        models: Loaded once for all sessions of the process.
        clock: The monotonic clock.
        recorder: Keeps the session, or None.
        shown: The sinks that print.
        say: Says one sentence to the user.
        gauges: What a display may look at.
        broker: The process's own one, where several sessions share it; None: as the settings say.
        again: The recorded session that is run again, or None.
        video: Where the frames come from, and what of them is recorded.
    """

    source: Source
    config: Config
    models: Models
    clock: Clock
    recorder: Recorder | None
    shown: Sequence[Sink]
    say: Callable[[str], None]
    gauges: Gauges = field(default_factory=Gauges)
    broker: Broker | None = None
    again: Again | None = None
    video: SessionVideo = NO_CAMERA

    def look(self) -> Vitals:
        """How it goes in numbers."""
        return self.gauges.vitals() if self.gauges.vitals else Vitals()

    async def run(self, control: Control) -> SessionEnded:
        """Listen until the source ends or is stopped.

        Raises:
            TrackerError: The session cannot begin, or its source was lost.
        """
        config, again, recorder, gauges = self.config, self.again, self.recorder, self.gauges
        gauges.recorder = f"{recorder.folder}" if recorder else ""
        metrics = Metrics(gauges, lambda: self.models.transcriber.fallbacks)
        gauges.vitals = metrics.read

        def listeners(topics: Topics) -> list[Listener]:
            return [Commands(topics, control)] if config.mqtt.commands else []

        async with publishing(config, self.say, recorder, live=True, listeners=listeners, broker=self.broker) as sinks:
            gauges.broker = next((sink.state for sink in map(_publisher, sinks) if sink), str)
            audio = recorder.record_audio if recorder and config.record.audio else None
            return await pipeline.run(
                self.source,
                self._steps,
                Outlets([*self.shown, *sinks, metrics], audio, self.say, gauges),
                self._header,
                stamp,
                self.clock,
                control,
                again.past.asked if again else (),
                ended_as="stopped" if again and again.past.stopped else "completed",
                may_speculate=gauges.load.may_speculate if gauges.load else lambda: True,
            )

    def _header(self, opened: Source) -> SessionHeader:
        labels = self.models.recogniser.card.labels.labels
        live = self.again.past.live if self.again else opened.live
        told = self.config.session
        return SessionHeader(
            opened.name, live, opened.channels, labels, self.models.names, SOFTWARE, told.purpose, told.notice
        )

    def _steps(self, channels: int) -> Steps:
        from tracker.app import models

        made = models.steps(self.models, self.config, channels, self.clock, self.video)
        if self.again and self.again.past.pauses:
            numbers = [number for number, _ in self.again.tracks]
            made = replace(made, segmenter=RecordedPauses(made.segmenter, numbers, self.again.past.pauses))
        if self.recorder and self.config.record.features:
            made = replace(made, recognise=FeatureKeeper(made.recognise, self.recorder.folder, self.say))
        return made


def load_models(config: Config, faces: bool = False) -> Models:
    """Everything that sessions share, for faces too where one has video; pulls what is missing, and takes seconds.

    Raises:
        AssetError: A model is missing and cannot be had.
        AdapterError: The adapter cannot be used.
    """
    from tracker.app import models  # torch and transformers take seconds to import: only once nothing else is wrong
    from tracker.assets.store import Store
    from tracker.cli.assets import pull_assets

    share_heaps()
    store = Store(config.assets.paths)
    pull_assets(store, models.needed_assets(config, faces))
    with Console(stderr=True).status("loading the models"):
        return models.load_models(config, store.folder, faces)


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


def _publisher(sink: Sink) -> Mqtt | None:
    """The sink that talks to the broker, also where it stands behind a log."""
    behind = sink.sink if isinstance(sink, Durable) else sink
    return behind if isinstance(behind, Mqtt) else None


def stamp() -> Stamp:
    """A new session that begins now."""
    now = datetime.now(UTC)
    return Stamp(f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}", now)
