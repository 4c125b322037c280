"""The SOURCE of the command line as a source: ``mic``, ``mic:NAME``, ``-``, or a file."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO, Literal

from tracker.errors import SourceError
from tracker.runtime.clock import Clock
from tracker.sources.decode import Decoder, open_regular
from tracker.sources.devices import find_device, list_devices
from tracker.sources.files import FileSource, no_audio
from tracker.sources.media import RATE_HZ, Source
from tracker.sources.microphone import MicrophoneSource
from tracker.sources.pacing import PacedSource
from tracker.sources.resample import ChannelMode
from tracker.sources.stdin import StdinSource, refuse_terminal

Pace = Literal["realtime", "fast"]


@dataclass(frozen=True, slots=True)
class MicrophoneInput:
    """``mic`` or ``mic:NAME``; no device means the configured one."""

    device: str = ""


@dataclass(frozen=True, slots=True)
class StdinInput:
    """``-``: raw audio on standard input."""


@dataclass(frozen=True, slots=True)
class FileInput:
    """A media file: anything else."""

    path: str


def parse_source(argument: str) -> MicrophoneInput | StdinInput | FileInput:
    """Parse an argument. A file called ``mic`` or ``-`` is named ``./mic`` or ``./-``.

    Raises:
        SourceError: The argument is empty.
    """
    if not argument:
        raise SourceError("no source was named; give mic, mic:NAME, - or a media file")
    if argument == "-":
        return StdinInput()
    kind, colon, device = argument.partition(":")
    if kind == "mic":
        if colon and not device.strip():
            raise SourceError("mic: names no device; give mic alone for the default one, or see: tracker devices")
        return MicrophoneInput(device.strip())
    return FileInput(argument)


def check_source(argument: str, stdin: BinaryIO, device: str = "") -> None:
    """Raise now what opening the source would raise later; blocks a moment.

    Args:
        argument: As given on the command line.
        stdin: Binary standard input.
        device: The configured microphone.

    Raises:
        SourceError: There is no such file or device, or the file has no audio.
    """
    match parse_source(argument):
        case MicrophoneInput(named):
            find_device(list_devices(), named or device)
        case StdinInput():
            refuse_terminal(stdin)
        case FileInput(path):
            with open_regular(path) as file, closing(Decoder(path, file)) as decoder:
                if next(decoder.samples(), None) is None:
                    raise decoder.lost or no_audio(path)


def create_source(
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
    """Create the source that an argument names, without opening it.

    Args:
        argument: As given on the command line.
        clock: Paces recordings and times the microphone's watchdog.
        stdin: Binary standard input.
        device: The configured microphone, by index or part of its name; no_audio for the system's default.
        channels: Mix all channels into one, or keep one per speaker.
        block_ms: Length of a chunk.
        pace: ``realtime`` releases files and stdin as if they were live; a microphone is live anyway.
        stdin_rate_hz: Rate of the samples on stdin.
        stdin_channels: How many channels are interleaved on stdin.

    Raises:
        SourceError: The argument is empty.
    """
    source: Source
    match parse_source(argument):
        case MicrophoneInput(named):
            return MicrophoneSource(named or device, channels, block_ms, clock=clock)
        case StdinInput():
            source = StdinSource(stdin, channels, block_ms, rate_hz=stdin_rate_hz, width=stdin_channels)
        case FileInput(path):
            source = FileSource(path, channels, block_ms)
    return PacedSource(source, clock) if pace == "realtime" else source
