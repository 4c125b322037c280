"""Sound files made for a test, and what a source makes of them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from jaxtyping import Float32

from tracker.errors import SourceError
from tracker.sources.media import RATE_HZ, AudioChunk, Source

CODECS = {
    "wav": "pcm_s16le",
    "flac": "flac",
    "mp3": "libmp3lame",
    "m4a": "aac",
    "mp4": "aac",
    "mkv": "pcm_f32le",
    "ts": "mp2",
    "aac": "aac",
    "mp2": "mp2",
    "aiff": "pcm_s16be",
}
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def tone(hz: float, rate_hz: int, seconds: float, level: float = 0.5) -> Float32[np.ndarray, " samples"]:
    """A sine."""
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def pitch(samples: Float32[np.ndarray, " samples"], rate_hz: int = RATE_HZ) -> float:
    """The strongest frequency in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate_hz / len(samples))


def write(
    path: Path,
    samples: Float32[np.ndarray, "frames channels"],
    rate_hz: int,
    *,
    gap: tuple[int, int] = (0, 0),
    spoil_from: int | None = None,
) -> Path:
    """Encode a file by its extension.

    Args:
        path: Where to.
        samples: Its sound.
        rate_hz: Its rate.
        gap: From this frame on, time stamps are later by so many frames.
        spoil_from: Packets from this one on carry rubbish.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[path.suffix[1:]], rate=rate_hz, layout=LAYOUTS[samples.shape[1]])
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.T), format="fltp", layout=LAYOUTS[samples.shape[1]]
        )
        frame.sample_rate, frame.pts = rate_hz, 0
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(stream.codec_context.format, stream.layout, rate_hz, size)
        packets = 0
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            if piece is not None and piece.pts >= gap[0]:
                piece.pts += gap[1]
            for packet in stream.encode(piece):
                packets += 1
                if spoil_from is not None and packets > spoil_from:
                    spoiled = av.Packet(b"\xa5" * packet.size)
                    spoiled.stream, spoiled.time_base = stream, packet.time_base
                    spoiled.pts, spoiled.dts, spoiled.duration = packet.pts, packet.dts, packet.duration
                    packet = spoiled
                container.mux(packet)
    return path


async def hear(source: Source) -> tuple[list[AudioChunk], SourceError | None]:
    """All chunks of a source, and what it ended with."""
    chunks: list[AudioChunk] = []
    try:
        async with source.open() as stream:
            async for chunk in stream:
                chunks.append(chunk)
    except SourceError as error:
        return chunks, error
    return chunks, None


def joined(chunks: list[AudioChunk], channel: int = 0) -> Float32[np.ndarray, " samples"]:
    """One channel's samples, which must follow each other without a hole."""
    own = [chunk for chunk in chunks if chunk.channel == channel]
    at = 0
    for chunk in own:
        assert chunk.start == at
        at += len(chunk.samples)
    return np.concatenate([chunk.samples for chunk in own])
