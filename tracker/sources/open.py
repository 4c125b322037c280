"""The SOURCE of the command line, as a source: ``mic``, ``mic:NAME``, ``-``, or a file."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO, Literal

from tracker.errors import SourceError
from tracker.runtime.clock import Clock
from tracker.sources.decode import Decoder, open_regular
from tracker.sources.devices import find_device, list_devices
from tracker.sources.files import FileSource, empty
from tracker.sources.media import RATE_HZ, Source
from tracker.sources.microphone import MicrophoneSource
from tracker.sources.pacing import Paced
from tracker.sources.resample import ChannelMode
from tracker.sources.stdin import StdinSource, refuse_terminal

Pace = Literal["realtime", "fast"]


@dataclass(frozen=True, slots=True)
class Microphone:
    """``mic`` or ``mic:NAME``; no device means the configured one."""

    device: str = ""


@dataclass(frozen=True, slots=True)
class Stdin:
    """``-``."""


@dataclass(frozen=True, slots=True)
class File:
    """Anything else."""

    path: str


def parse_source(argument: str) -> Microphone | Stdin | File:
    """What the user named. A file called ``mic`` or ``-`` is reached as ``./mic`` or ``./-``.

    Raises:
        SourceError: Nothing was named.
    """
    if not argument:
        raise SourceError("no source was named; give mic, mic:NAME, - or a media file")
    if argument == "-":
        return Stdin()
    kind, colon, device = argument.partition(":")
    if kind == "mic":
        if colon and not device.strip():
            raise SourceError("mic: names no device; give mic alone for the default one, or see: tracker devices")
        return Microphone(device.strip())
    return File(argument)


def check(argument: str, stdin: BinaryIO, device: str = "") -> None:
    """Refuse at once what opening the source would refuse later; blocks a moment.

    Args:
        argument: As given on the command line.
        stdin: Binary standard input.
        device: The configured microphone.

    Raises:
        SourceError: There is no such file or device, or the file is not media with sound.
    """
    match parse_source(argument):
        case Microphone(named):
            find_device(list_devices(), named or device)
        case Stdin():
            refuse_terminal(stdin)
        case File(path):
            with open_regular(path) as file, closing(Decoder(path, file)) as decoder:
                if next(decoder.samples(), None) is None:
                    raise decoder.lost or empty(path)


def source_from(
    argument: str,
    *,
    clock: Clock,
    stdin: BinaryIO,
    device: str = "",
    channels: ChannelMode = "mix",
    block_ms: int = 20,
    pace: Pace = "fast",
    stdin_rate_hz: int = RATE_HZ,
    stdin_channels: int = 1,
) -> Source:
    """The source that an argument names, not yet open.

    Args:
        argument: As given on the command line.
        clock: Paces recordings and watches the microphone.
        stdin: Binary standard input.
        device: The configured microphone, by index or part of its name; empty for the system's default.
        channels: Mix all channels into one, or keep one per speaker.
        block_ms: Length of a chunk.
        pace: ``realtime`` releases files and stdin as if they were live; a microphone is live anyway.
        stdin_rate_hz: Rate of the samples on stdin.
        stdin_channels: How many channels are interleaved on stdin.

    Raises:
        SourceError: The argument names nothing.
    """
    source: Source
    match parse_source(argument):
        case Microphone(named):
            return MicrophoneSource(named or device, channels, block_ms, clock=clock)
        case Stdin():
            source = StdinSource(stdin, channels, block_ms, rate_hz=stdin_rate_hz, width=stdin_channels)
        case File(path):
            source = FileSource(path, channels, block_ms)
    return Paced(source, clock) if pace == "realtime" else source
