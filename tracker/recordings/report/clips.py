"""The audio of single turns, compressed to fit into a page."""

from __future__ import annotations

import base64
import io
from os.path import lexists
from pathlib import Path

import soundfile

from tracker.errors import SessionError
from tracker.recordings.format import RecordedFile, audio_file
from tracker.runtime.clock import ns_to_samples
from tracker.sources.media import RATE_HZ

_PAD_NS = 150_000_000
_LONGEST_NS = 60_000_000_000  # twice what a turn may last


class Clips:
    """Cuts clips from a recorded session's audio; blocks.

    Args:
        folder: The session's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mp3 = "MP3" in soundfile.available_formats()

    def cut(self, channel: int, start_ns: int, end_ns: int) -> str | None:
        """A part of a channel, with a little padding, as a ``data:`` URI; None where no audio was kept.

        Raises:
            SessionError: The audio is damaged.
        """
        path = self._folder / audio_file(channel)
        if not lexists(path):
            return None
        try:
            with RecordedFile(path).open() as recorded, soundfile.SoundFile(recorded) as file:
                if (file.samplerate, file.channels) != (RATE_HZ, 1):
                    raise SessionError(f"{path}: is not 16 kHz, one channel; --no-audio leaves it out")
                first = ns_to_samples(max(0, start_ns - _PAD_NS), RATE_HZ)
                end_ns = min(end_ns, start_ns + _LONGEST_NS)
                last = min(file.frames, ns_to_samples(end_ns + _PAD_NS, RATE_HZ))
                if first >= last:
                    return None
                file.seek(first)
                samples = file.read(last - first, dtype="float32")
        except soundfile.LibsndfileError as error:
            raise SessionError(f"{path}: cannot be read ({error.error_string}); --no-audio leaves it out") from error
        out = io.BytesIO()
        kind, subtype, mime = ("MP3", None, "audio/mpeg") if self._mp3 else ("WAV", "PCM_16", "audio/wav")
        soundfile.write(out, samples, RATE_HZ, format=kind, subtype=subtype)
        return f"data:{mime};base64,{base64.b64encode(out.getvalue()).decode()}"
