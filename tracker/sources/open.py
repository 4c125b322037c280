"""The SOURCE of the command line, as a source: ``mic``, ``mic:NAME``, ``-``, a file, or the URL of a plug-in."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import BinaryIO, Literal, Protocol

from tracker.errors import SourceError
from tracker.runtime.clock import Clock, SystemClock
from tracker.sources.files import FileSource
from tracker.sources.media import RATE_HZ, Source
from tracker.sources.microphone import MicrophoneSource
from tracker.sources.pacing import PacedSource
from tracker.sources.resample import ChannelMode
from tracker.sources.stdin import StdinSource

Pace = Literal["realtime", "fast"]
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SourceName:
    """What the user named.

    Attributes:
        scheme: ``mic``, ``stdin``, ``file``, or the scheme of a URL: the name of an entry point in the group
            ``emotion_tracker.sources``.
        target: The device, which may be empty; the file's path; or the whole URL.
    """

    scheme: str
    target: str = ""

    @property
    def stem(self) -> str:
        """A short name for people: a file's name without its extension, or the scheme."""
        return PurePath(self.target).stem if self.scheme == "file" else self.scheme


def parse_source(argument: str) -> SourceName:
    """What the user named. A file called ``mic`` or ``-`` is reached as ``./mic`` or ``./-``.

    Raises:
        SourceError: Nothing was named.
    """
    if not argument:
        raise SourceError("no source was named; give mic, mic:NAME, - or a media file")
    if argument == "-":
        return SourceName("stdin")
    kind, colon, device = argument.partition(":")
    if kind == "mic":
        if colon and not device.strip():
            raise SourceError("mic: names no device; give mic alone for the default one, or see: tracker devices")
        return SourceName("mic", device.strip())
    if url := _URL.match(argument):
        return SourceName(url[1].lower(), argument)
    return SourceName("file", argument)


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How to read a source; each kind takes what concerns it.

    Attributes:
        channels: Mix all channels into one, or keep one per speaker.
        block_ms: Length of a chunk.
        track: Which audio track of a media file, from 1; 0: as `FileSource` chooses.
        pace: ``realtime`` releases recordings and standard input as if they were live.
        device: The configured microphone, by index or part of its name; empty for the system's default.
        stdin: Binary standard input; None for the process's own.
        stdin_rate_hz: Rate of the samples on standard input.
        stdin_channels: How many channels are interleaved there.
        clock: Paces recordings and watches the microphone.
    """

    channels: ChannelMode = "mix"
    block_ms: int = 20
    track: int = 0
    pace: Pace = "fast"
    device: str = ""
    stdin: BinaryIO | None = None
    stdin_rate_hz: int = RATE_HZ
    stdin_channels: int = 1
    clock: Clock = field(default_factory=SystemClock)


class SourceFactory(Protocol):
    """Makes a source that is not yet open: what an entry point in ``emotion_tracker.sources`` names."""

    def __call__(self, target: str, options: SourceOptions) -> Source:
        """The source.

        Args:
            target: As in `SourceName`.
            options: How to read it.

        Raises:
            SourceError: The target names nothing that could be opened.
        """


def microphone(target: str, options: SourceOptions) -> Source:
    """A microphone, by index or part of its name; the configured one where none is named."""
    return MicrophoneSource(target or options.device, options.channels, options.block_ms, clock=options.clock)


def standard_input(_target: str, options: SourceOptions) -> Source:
    """Raw PCM, or a media file, on standard input."""
    return StdinSource(
        options.stdin or sys.stdin.buffer,
        options.channels,
        options.block_ms,
        rate_hz=options.stdin_rate_hz,
        width=options.stdin_channels,
        track=options.track,
    )


def media_file(target: str, options: SourceOptions) -> Source:
    """A media file."""
    return FileSource(target, options.channels, options.block_ms, track=options.track)


def open_source(argument: str, options: SourceOptions, make: Callable[[SourceName, SourceOptions], Source]) -> Source:
    """The source that an argument names, not yet open.

    Args:
        argument: As given on the command line.
        options: How to read it.
        make: Makes a source by its scheme.

    Raises:
        SourceError: The argument names nothing.
    """
    source = make(parse_source(argument), options)
    return PacedSource(source, options.clock) if options.pace == "realtime" and not source.live else source
