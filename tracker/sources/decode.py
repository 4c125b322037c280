"""A media file as samples, packet by packet, through PyAV: its errors, its gaps and its time stamps.

A file may come from a stranger. `open_media` reads nothing but the file itself: playlists and other lists of files are
no media here, and no demuxer may open anything.

Media time 0 is the start of the file's earliest stream. Packets that cannot be decoded are left out and counted. Time
stamps are followed where they jump forward by more than `JITTER_S`: the gap is filled with silence, so that what
follows keeps its time. Smaller steps are rounding, and a jump back, or one of more than `LONGEST_GAP_S`, is a damaged
or joined file: samples then follow each other, as they do in formats without time stamps.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer
from jaxtyping import Shaped

from tracker.errors import SourceError, SourceLost
from tracker.sources.video import MOST_PIXELS

JITTER_S = 0.1
"""Containers round time stamps, to a millisecond at best."""

LONGEST_GAP_S = 3600.0
"""A recorder that sends nothing in silence leaves minutes; more than an hour is taken for damage."""

LONGEST_S = 24 * 3600.0
"""Silence, as gaps or compressed, makes hours of a few kilobytes."""

RATES_HZ = range(4000, 1_000_000)
"""Sound slower than a telephone's holds no speech, and grows a thousandfold when it is resampled."""

MOST_CHANNELS = 64
"""In a file; each is a speaker of its own where channels are kept separate."""

MOST_SAMPLES = 1 << 22
"""In a packet, all channels together. Lossless codecs put up to a second into one."""

MOST_MEMORY = 1 << 27
"""Bytes that FFmpeg takes at once, in the whole process: an index of 24 h of film, a picture of `MOST_PIXELS`."""

FORMATS = (
    "aac,ac3,aiff,alaw,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dss,dts,dv,eac3,flac,flv,g722,g726,gsm,iff,ircam,loas,"
    "matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,mpegvideo,mulaw,mxf,nistsphere,nut,ogg,oma,rm,sln,sox,tak,truehd,tta,voc,"
    "w64,wav,wsd,wtv,wv,xwma"
)
"""FFmpeg's names of what is read. Each holds its own sound; none names other files or addresses."""

_MOST_PLANES = 7  # channels apart, of which PyAV makes an array; at the eighth it ends the process
_SHORT_S = 1.0  # a stated length may be an estimate, so its lack is worth a warning and no more
_LOST_END_S = 0.5  # a damaged last packet or two is the ordinary end of an interrupted recording

log = logging.getLogger(__name__)

# PyAV has no name for it. A header may claim billions of samples, and FFmpeg would make room for each.
ctypes.CDLL(av._core.__file__).av_max_alloc(ctypes.c_size_t(MOST_MEMORY))


@dataclass(frozen=True, slots=True)
class DecodedSamples:
    """A piece of the decoded audio.

    Attributes:
        rate_hz: Sample rate; may change in the middle of a file.
        values: One column per channel, in the file's own format.
    """

    rate_hz: int
    values: Shaped[np.ndarray, "frames channels"]

    @property
    def shape(self) -> tuple[int, int]:
        """The rate in Hz and the number of channels."""
        return self.rate_hz, self.values.shape[1]


def open_regular(path: str) -> BinaryIO:
    """Open a file for reading.

    Raises:
        SourceError: The file is missing, unreadable, empty, or not a regular file.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise SourceError(f"{path}: is a folder; name a media file in it")
        if not stat.S_ISREG(mode):
            raise SourceError(f"{path}: is not an ordinary file; pipe raw audio into the source '-' instead")
        file = open(path, "rb")  # noqa: SIM115  (handed to the caller)
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file") from None
    except PermissionError:
        raise SourceError(f"{path}: may not be read; check its permissions") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise SourceError(f"{path}: cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    if not os.fstat(file.fileno()).st_size:
        file.close()
        raise SourceError(f"{path}: is empty")
    return file


def open_media(file: BinaryIO, formats: str = FORMATS) -> InputContainer:
    """Open a file's streams; whatever it holds, nothing but this file is read.

    Args:
        file: Reading through it keeps a name with a colon from being taken for a protocol.
        formats: FFmpeg's names of those that it may have.

    Raises:
        FFmpegError, OSError, ValueError: It is not media of these formats.
    """
    limits = {"max_pixels": str(MOST_PIXELS), "max_samples": str(MOST_SAMPLES)}
    options = {"format_whitelist": formats, "protocol_whitelist": "none"} | limits
    container = av.open(file, "r", metadata_errors="replace", options=options, io_open=_refuse_to_open)
    for stream in container.streams:
        if stream.codec_context:
            stream.codec_context.options = limits
    return container


def _refuse_to_open(*_: object) -> BinaryIO:
    raise PermissionError(errno.EPERM, "names another file, which is not opened")


class Decoder:
    """Decodes an audio stream of an open file.

    Args:
        path: As the user gave it; named in errors.
        file: Read from, and closed by `close`.
        track: Which audio stream, from 1; 0: the best one.
        formats: As in `open_media`.

    Raises:
        SourceError: It is not media, or has no audio that can be decoded, or no such track.

    Attributes:
        tracks: How many audio streams there are.
        track: Which one is decoded, from 1.
        stated_s: The file's length, as it states or as it is estimated; 0 where it is not known.
        damaged: Packets that could not be decoded.
        lost: Why `samples` ended before the file did; None if it did not.
    """

    def __init__(self, path: str, file: BinaryIO, track: int = 0, formats: str = FORMATS) -> None:
        self._path = path
        try:
            self._container = open_media(file, formats)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(f"{path}: is not a media file that can be read ({_reason(error)})") from error
        streams = [stream for stream in self._container.streams.audio if stream.codec_context]
        best = self._container.streams.best("audio")
        chosen = streams[track - 1 : track] if track else sorted(streams, key=lambda stream: stream != best)[:1]
        if not chosen:
            kinds = sorted({str(stream.type) for stream in self._container.streams})
            self.close()
            if streams:
                raise SourceError(f"{path}: has no audio track {track} (input.track), its last one is {len(streams)}")
            raise SourceError(f"{path}: has no audio that can be decoded (streams: {', '.join(kinds) or 'none'})")
        self._stream = chosen[0]
        self.tracks = len(streams)
        self.track = streams.index(self._stream) + 1
        self.stated_s = (self._container.duration or 0) / av.time_base
        self.damaged = 0
        self.lost: SourceLost | None = None

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def samples(self) -> Iterator[DecodedSamples]:
        """The file from its start, gaps filled, as far as it can be read.

        Packets that cannot be decoded leave a gap and are counted. Where the file cannot be read further, or nothing
        can be decoded up to its end, `lost` says why.
        """
        origin_s = (self._container.start_time or 0) / av.time_base
        at_s = 0.0
        for frame, values in self._frames():
            if at_s > LONGEST_S:
                self.lost = SourceLost(f"{self._path}: is longer than {LONGEST_S / 3600:.0f} h; cut it into parts")
                return
            stamp_s = at_s if frame.time is None else frame.time - origin_s
            gap_s = stamp_s - at_s
            if JITTER_S < gap_s <= LONGEST_GAP_S:
                yield from _silence(gap_s, frame.sample_rate, values)
                at_s = stamp_s
            elif abs(gap_s) > JITTER_S:
                log.info("time stamps jump; samples follow each other", extra={"from_s": at_s, "to_s": stamp_s})
                origin_s += gap_s
            at_s += len(values) / frame.sample_rate
            yield DecodedSamples(frame.sample_rate, values)
        if not self.lost and self.stated_s > at_s + _SHORT_S:
            log.warning("file ends before its stated length", extra={"stated_s": self.stated_s, "decoded_s": at_s})

    def _frames(self) -> Iterator[tuple[AudioFrame, Shaped[np.ndarray, "frames channels"]]]:
        decoded_s = lost_s = 0.0
        try:
            for packet in self._container.demux(self._stream):
                length_s = float((packet.duration or 0) * packet.time_base) if packet.time_base else 0.0
                try:
                    frames = packet.decode()
                    if unusable := next(filter(None, map(_unusable, frames)), ""):
                        self.lost = SourceLost(f"{self._path}: {unusable}")
                        return
                    decoded = [(frame, _values(frame)) for frame in frames]
                except (av.FFmpegError, ValueError):
                    self.damaged += 1
                    lost_s += length_s
                    continue
                for frame, values in decoded:
                    decoded_s, lost_s = decoded_s + frame.samples / frame.sample_rate, 0.0
                    yield frame, values
        except (av.FFmpegError, OSError) as error:
            self.lost = SourceLost(f"{self._path}: cannot be read after {decoded_s:.1f} s ({_reason(error)})")
        if self.damaged:
            log.warning("packets could not be decoded", extra={"packets": self.damaged})
        if lost_s > _LOST_END_S or (self.damaged and not decoded_s):
            self.lost = SourceLost(f"{self._path}: is damaged: nothing can be decoded after {decoded_s:.1f} s")


def _unusable(frame: AudioFrame) -> str:
    """Why a frame is no sound of people; empty where it can be used."""
    if frame.sample_rate not in RATES_HZ:
        return f"has {frame.sample_rate} samples a second; {RATES_HZ.start} to {RATES_HZ.stop} can be heard"
    if frame.layout.nb_channels > MOST_CHANNELS:
        return f"has {frame.layout.nb_channels} channels; {MOST_CHANNELS} can be heard"
    return ""


def _values(frame: AudioFrame) -> Shaped[np.ndarray, "frames channels"]:
    channels = frame.layout.nb_channels
    if frame.format.name.startswith("s64") or (frame.format.is_planar and channels > _MOST_PLANES):
        (frame,) = av.AudioResampler("flt").resample(frame)  # PyAV makes no array of it
    values = frame.to_ndarray()
    return values.T if frame.format.is_planar else values.reshape(-1, channels)


def _silence(
    length_s: float, rate_hz: int, template: Shaped[np.ndarray, "frames channels"]
) -> Iterator[DecodedSamples]:
    left = round(length_s * rate_hz)
    while left > 0:
        count = min(left, rate_hz)
        yield DecodedSamples(rate_hz, np.zeros((count, template.shape[1]), np.float32))
        left -= count


def _reason(error: Exception) -> str:
    if isinstance(error, av.ArgumentError):
        return "it names other files, or its format is not one of those that are read"
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0].lower()
