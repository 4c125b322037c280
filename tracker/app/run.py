"""Listening, from the command line's words to the sessions' outcomes; both functions block."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import anyio

from tracker.app.many import listen_to_all, names_of
from tracker.app.mqtt import external
from tracker.app.outputs import Wishes, shown, terminal_of
from tracker.app.session import Again, Session, load_models, obey
from tracker.app.video import session_video, video_sources
from tracker.config import Config, load_again
from tracker.errors import ConfigError
from tracker.events import SessionEnded
from tracker.metrics.collect import to_json
from tracker.metrics.gauges import Gauges
from tracker.metrics.prometheus import exposed
from tracker.purpose import kept, refuse_undeclared, words_only
from tracker.recordings import replay
from tracker.recordings.recorder import Recorder
from tracker.recordings.rerun import not_the_same, past_of, tracks_of
from tracker.runtime.clock import SystemClock
from tracker.runtime.control import Control
from tracker.runtime.overload import LoadMonitor
from tracker.runtime.signals import with_signals
from tracker.sources.camera import check_camera, opencv_capture
from tracker.sources.media import Source
from tracker.sources.open import MicrophoneInput, Pace, check_source, create_source, parse_source
from tracker.sources.opencv import load_opencv
from tracker.sources.pacing import PacedSource
from tracker.sources.recorded_audio import RecordedSource
from tracker.sources.video import CameraVideo, VideoSource


def run(arguments: Sequence[str], config: Config, wishes: Wishes) -> list[SessionEnded]:
    """Listen to sources, each as a session of its own, until they end or a signal comes.

    Whatever can be refused without the models is refused before they are loaded.

    Args:
        arguments: Each SOURCE of the command line.
        config: The settings.
        wishes: What this run shall do.

    Returns:
        The last event of each session.

    Raises:
        TrackerError: A session cannot begin, or its source was lost; of several, the others have run to their ends.
        AdapterError: The adapter cannot be used.
    """
    clock = SystemClock()
    names = names_of(arguments)
    videos = video_sources(
        arguments,
        config.video.source,
        config.input.pace,
        words_only(config.session.purpose, config.session.exception),
    )
    cameras = [video for video in videos if isinstance(video, CameraVideo)]
    if cameras or any(isinstance(parse_source(argument), MicrophoneInput) for argument in arguments):
        refuse_undeclared(config.session.purpose, config.session.notice)
    for argument in arguments:
        check_source(argument, sys.stdin.buffer, config.input.device)
    for camera in cameras:
        check_camera(camera.camera, opencv_capture(load_opencv()))
    sources = [_source(argument, config, wishes, clock) for argument in arguments]
    if len(sources) == 1:
        return [_listen(sources[0], videos[0], config, wishes, clock)]
    together = zip(names, zip(sources, videos, strict=True), strict=True)
    return listen_to_all(dict(together), config, wishes, clock)


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
    if pace == "realtime":
        source = PacedSource(source, clock)
    return _listen(source, past.video(folder), config, wishes, clock, Again(recorded, past, tracks))


def _source(argument: str, config: Config, wishes: Wishes, clock: SystemClock) -> Source:
    return create_source(
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


def _listen(
    source: Source,
    video_source: VideoSource,
    config: Config,
    wishes: Wishes,
    clock: SystemClock,
    again: Again | None = None,
) -> SessionEnded:
    """Take one session from its source to its outcome."""
    terminal = terminal_of(config, wishes)
    external(config.mqtt)
    recorder = None
    if wishes.record:
        recorder = Recorder(wishes.record, config.model_dump(mode="json"), config.record.text)
    folder = wishes.record if config.record.video else None
    video = session_video(video_source, folder, config.record.blur_faces, terminal.say)
    if wishes.record and (sentence := kept(config.record.audio, config.record.text, video.record_to is not None)):
        terminal.say(f"{wishes.record}: {sentence}")
    models = load_models(config, video.present)
    if again:
        for sentence in not_the_same(again.recorded, models.names):
            terminal.say(sentence)
    sinks = shown(config, wishes, terminal)
    gauges = Gauges(LoadMonitor(clock))
    one = Session(source, config, models, clock, recorder, sinks, terminal.say, gauges, again=again, video=video)

    async def session(control: Control) -> SessionEnded:
        terminal.look_at(gauges.read)
        terminal.steer("live", lambda ask: obey(control, ask))
        with exposed(config.metrics.port, {source.name: one.look}):
            return await one.run(control)

    last = anyio.run(with_signals, session, terminal.say)
    if wishes.json:
        print(to_json(last.session, one.look()), file=sys.stderr)
    return last
