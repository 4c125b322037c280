"""A scripted PortAudio: devices, and streams that the test drives."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np


class FakePortAudio:
    """Stands in for the module sounddevice.

    Args:
        devices: Name, host API and input channels of each; all run at 48 kHz.
        default: Index of the default microphone; None for a system without one.
        refusal: Why no stream can be opened.
    """

    class PortAudioError(Exception):
        pass

    def __init__(self, *devices: tuple[str, str, int], default: int | None = 0, refusal: str = "") -> None:
        self.devices = devices or (("Room", "ALSA", 2),)
        self.default = default
        self.refusal = refusal
        self.streams: list[FakeStream] = []

    def query_hostapis(self):
        return [{"name": api} for api in sorted({api for _, api, _ in self.devices})]

    def query_devices(self, kind=None):
        apis = sorted({api for _, api, _ in self.devices})
        found = [
            {
                "index": index,
                "name": name,
                "hostapi": apis.index(api),
                "max_input_channels": channels,
                "default_samplerate": 48000.0,
            }
            for index, (name, api, channels) in enumerate(self.devices)
        ]
        if kind is None:
            return found
        if self.default is None:
            raise self.PortAudioError("Error querying device -1")
        return found[self.default]

    def InputStream(self, **settings):
        if self.refusal:
            raise self.PortAudioError(self.refusal)
        self.streams.append(FakeStream(**settings))
        return self.streams[-1]


class FakeStream:
    """An input stream; `feed` and `end` are what the sound system does."""

    def __init__(self, *, samplerate, blocksize, device, channels, dtype, callback, finished_callback) -> None:
        assert dtype == "float32"
        self.samplerate, self.blocksize, self.device, self.channels = samplerate, blocksize, device, channels
        self._callback, self._finished = callback, finished_callback
        self.running = False
        self.closed = threading.Event()

    def start(self) -> None:
        self.running = True

    def abort(self) -> None:
        if self.running:
            self.end()

    def close(self) -> None:
        self.running = False
        self.closed.set()

    def feed(self, blocks: int = 1, value: float = 0.25, *, overflow: bool = False) -> None:
        """So many blocks arrive."""
        shared = np.full((self.blocksize, self.channels), value, np.float32)
        for _ in range(blocks):
            self._callback(shared, self.blocksize, None, SimpleNamespace(input_overflow=overflow))
        shared[:] = np.nan  # PortAudio uses its buffer again

    def end(self) -> None:
        """The stream ends by itself."""
        self.running = False
        self._finished()
