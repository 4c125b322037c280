"""From a recording of one person to the embedding of their voice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from anyio import to_thread
from jaxtyping import Float32

from tracker.app.models import SEGMENTATION, limits
from tracker.assets.store import Store
from tracker.config import Config, SpeakersConfig
from tracker.errors import SourceError
from tracker.observe.campplus import VoiceEmbedder
from tracker.observe.speakers import SpeakerRegistry, VoiceSample
from tracker.runtime.clock import NS_PER_S
from tracker.sources.files import FileSource
from tracker.sources.media import AudioChunk, opened
from tracker.turns.activity import SpeakerActivity
from tracker.turns.segment import AudioSegmenter
from tracker.turns.turn import Turn
from tracker.turns.voice import VoiceDetector

_LEAST_S, _LONGEST_S = 5.0, 600.0  # of speech that make a voice print; of a recording


async def voice_in(file: str, config: Config) -> Float32[np.ndarray, " dim"]:
    """The voice in a media file, a unit vector.

    Raises:
        SourceError: The file cannot be read, is longer than ten minutes, or holds too little speech or two voices.
        AssetError: A model is missing.
    """
    folder = Store(config.assets.paths).verified
    activity, embed = SpeakerActivity(folder(SEGMENTATION)), VoiceEmbedder(folder(config.speakers.model))
    turns = config.turns
    segmenter = AudioSegmenter(
        1, lambda: VoiceDetector(turns.vad_mode, turns.speech_gate).frame, limits(turns), activity
    )
    source = FileSource(file)
    found: list[Turn] = []

    def cut(heard: AudioChunk) -> list[Turn]:
        return [record for record in segmenter.feed(heard) if isinstance(record, Turn)]

    async with opened(source) as chunks:
        async for chunk in chunks:
            if chunk.end_ns > _LONGEST_S * NS_PER_S:
                raise SourceError(f"{source.name}: is longer than {_LONGEST_S / 60:g} minutes; a minute is enough")
            found += await to_thread.run_sync(cut, chunk)
    found += [record for record in segmenter.finish() if isinstance(record, Turn)]
    return await to_thread.run_sync(
        lambda: voice_of(found, lambda turn: embed(turn.samples), config.speakers, source.name)
    )


def voice_of(
    turns: Sequence[Turn], embed: Callable[[Turn], Float32[np.ndarray, " dim"]], settings: SpeakersConfig, name: str
) -> Float32[np.ndarray, " dim"]:
    """The voice of one person's turns: the mean of their embeddings, a unit vector.

    Args:
        turns: Of a recording in which nobody else speaks.
        embed: Makes a unit vector of a turn.
        settings: When two voices are the same.
        name: Of the recording, for messages.

    Raises:
        SourceError: There is too little speech, or there are two voices.
    """
    enough = [turn for turn in turns if turn.duration_s >= settings.short_turn_s and not turn.overlap_ns]
    speech_s = sum(turn.voiced_ns for turn in enough) / NS_PER_S
    if speech_s < _LEAST_S:
        raise SourceError(f"{name}: holds {speech_s:.1f} s of clear speech; a voice needs at least {_LEAST_S:g} s")
    embeddings = [embed(turn) for turn in enough]
    registry = SpeakerRegistry(settings.same_above, settings.max_speakers, settings.short_turn_s, settings.continuity)
    for turn, embedding in zip(enough, embeddings, strict=True):
        registry.identify(VoiceSample(embedding, turn.duration_s))
    if len(registry.names) > 1:
        raise SourceError(f"{name}: has more than one voice; use a recording in which one person speaks")
    mean = np.mean(embeddings, axis=0)
    found: Float32[np.ndarray, " dim"] = (mean / np.linalg.norm(mean)).astype(np.float32)
    return found
