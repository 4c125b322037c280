"""The microphones that PortAudio lists, and how a user selects one; the cameras that Linux lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracker.errors import SourceError, needs_extra

PortAudio = Any
"""The module sounddevice, which has no type hints, or a replacement in tests."""


@dataclass(frozen=True, slots=True)
class AudioDevice:
    """An audio input.

    Attributes:
        index: PortAudio's number; changes when devices come and go.
        name: The name that the system gives it.
        host_api: The system's sound interface that offers it (ALSA, Core Audio, Windows WASAPI ...).
        channels: How many it can record at most.
        default_rate_hz: Its native sample rate.
        is_default: Whether it is the system's default input.
    """

    index: int
    name: str
    host_api: str
    channels: int
    default_rate_hz: int
    is_default: bool

    def __str__(self) -> str:
        return f"{self.index} {self.name} ({self.host_api})"


def load_portaudio() -> PortAudio:
    """Import sounddevice, only where a microphone is used: files need no PortAudio.

    Raises:
        ExtraMissing: sounddevice is not installed.
        SourceError: The PortAudio library is not installed.
    """
    try:
        with needs_extra("mic", "a microphone"):
            import sounddevice
    except OSError:
        raise SourceError(
            "mic: the PortAudio library is missing; install it (Debian, Ubuntu: apt install libportaudio2)"
        ) from None
    return sounddevice


def list_devices(portaudio: PortAudio = None) -> list[AudioDevice]:
    """Every audio input, as it was when this process first asked.

    Args:
        portaudio: Replaces the module sounddevice.

    Raises:
        SourceError: PortAudio is not installed, or does not answer.
    """
    portaudio = portaudio or load_portaudio()
    try:
        found = portaudio.query_devices()
        apis = portaudio.query_hostapis()
    except portaudio.PortAudioError as error:
        raise SourceError(f"mic: the sound system does not answer ({error})") from error
    default = _default_index(portaudio)
    return [
        AudioDevice(
            index=device["index"],
            name=device["name"],
            host_api=apis[device["hostapi"]]["name"],
            channels=device["max_input_channels"],
            default_rate_hz=round(device["default_samplerate"]),
            is_default=device["index"] == default,
        )
        for device in found
        if device["max_input_channels"] > 0
    ]


def list_cameras(system: Path = Path("/sys/class/video4linux")) -> list[tuple[str, str]]:
    """The cameras that Linux lists, each with path and name; other systems list none, and ``0`` is their first.

    Args:
        system: Where the kernel lists them. A camera has several nodes; the one with index 0 gives frames.
    """
    found = []
    for node in sorted(system.glob("video*"), key=lambda node: int(node.name.removeprefix("video"))):
        try:
            if (node / "index").read_text().strip() == "0":
                found.append((f"/dev/{node.name}", (node / "name").read_text().strip()))
        except OSError:  # unplugged this moment
            continue
    return found


def find_device(devices: Sequence[AudioDevice], wanted: str = "") -> AudioDevice:
    """The device that the user selected.

    Args:
        devices: All devices.
        wanted: Its index, its whole name, or words that occur in its name and host API in any case; empty for the
            default.

    Raises:
        SourceError: No device matches, or several do; the message lists them.
    """
    if not devices:
        raise SourceError("mic: there is no microphone; connect one, or name a media file instead")
    if not wanted:
        matches = [device for device in devices if device.is_default]
    elif wanted.isdecimal():
        matches = [device for device in devices if device.index == int(wanted)]
    else:
        matches = _named(devices, wanted.casefold())
    if len(matches) == 1:
        return matches[0]
    selected = f"mic:{wanted}: " if wanted else "mic: the system has no default microphone; "
    if matches:
        raise SourceError(f"{selected}matches several devices; give more of the name, or the index: {_listed(matches)}")
    raise SourceError(f"{selected}available: {_listed(devices)}")


def _named(devices: Sequence[AudioDevice], wanted: str) -> list[AudioDevice]:
    exact = [device for device in devices if device.name.casefold() == wanted]
    words = wanted.split()
    return exact or [
        device for device in devices if all(word in f"{device.name} {device.host_api}".casefold() for word in words)
    ]


def _listed(devices: Sequence[AudioDevice]) -> str:
    return "; ".join(str(device) for device in devices)


def _default_index(portaudio: PortAudio) -> int | None:
    try:
        return int(portaudio.query_devices(kind="input")["index"])
    except (portaudio.PortAudioError, ValueError):
        return None
