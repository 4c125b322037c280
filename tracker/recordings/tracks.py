"""The audio files of a recorded session: one per channel; a sample's position is its media time."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Int16

from tracker.recordings.format import AudioTrack, audio_file
from tracker.sources.media import RATE_HZ, AudioChunk
from tracker.sources.resample import to_pcm16

_FULL_BELOW = 1 << 20
"""Free bytes below which a disk counts as full: libsndfile does not say why it cannot write."""


def alignment(written: int, start: int, length: int) -> tuple[int, int]:
    """How to align a chunk with its file.

    Args:
        written: Samples in the file.
        start: Index of the chunk's first sample since session start.
        length: Samples in the chunk.

    Returns:
        Samples of silence to write before it, and how many of its own to leave out because they were written before.
    """
    return max(0, start - written), min(length, max(0, written - start))


@dataclass
class _Track:
    file: soundfile.SoundFile
    written: int = 0
    silence: int = 0

    def write(self, chunk: AudioChunk) -> None:
        silence, known = alignment(self.written, chunk.start, len(chunk.samples))
        self.silence += silence
        for begin in range(0, silence, RATE_HZ):
            self._put(np.zeros(min(RATE_HZ, silence - begin), np.int16))
        self._put(to_pcm16(chunk.samples[known:]))

    def _put(self, samples: Int16[np.ndarray, " samples"]) -> None:
        self.file.write(samples)
        self.written += len(samples)


class AudioTracks:
    """Writes each channel's audio to its own file; blocks.

    Args:
        folder: Of the session; each file is made with its channel's first sample.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tracks: dict[int, _Track] = {}

    def write(self, chunk: AudioChunk) -> None:
        """Write a chunk at its position, with silence where audio is missing before it.

        Raises:
            OSError: It cannot be written, with ENOSPC where the disk is full.
        """
        if not len(chunk.samples):
            return  # a FLAC file without a sample is none
        try:
            if chunk.channel not in self._tracks:
                # soundfile takes no name that is not Unicode, but its bytes.
                path = os.fsencode(self._folder / audio_file(chunk.channel))
                self._tracks[chunk.channel] = _Track(soundfile.SoundFile(path, "x", RATE_HZ, 1, "PCM_16"))
            self._tracks[chunk.channel].write(chunk)
        except soundfile.LibsndfileError as error:
            raise self._reason(error) from error

    def close(self) -> None:
        """Complete the files.

        Raises:
            OSError: One cannot be completed; the others were.
        """
        failed = None
        for track in self._tracks.values():
            try:
                track.file.close()
            except soundfile.LibsndfileError as error:
                failed = error
        if failed:
            raise self._reason(failed) from failed

    def written(self) -> list[AudioTrack]:
        """A description of each file."""
        return [
            AudioTrack(channel=channel, file=audio_file(channel), samples=track.written, silence=track.silence)
            for channel, track in sorted(self._tracks.items())
        ]

    def _reason(self, error: soundfile.LibsndfileError) -> OSError:
        if shutil.disk_usage(self._folder).free < _FULL_BELOW:
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return OSError(errno.EIO, str(error))
