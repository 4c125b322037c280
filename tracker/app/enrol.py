"""From a recording of one person to the embedding of their voice."""

from __future__ import annotations

import numpy as np
from anyio import to_thread
from jaxtyping import Float32

from tracker.app.models import SEGMENTATION, limits
from tracker.app.voices import voice_of
from tracker.assets.store import Store
from tracker.config import Config
from tracker.errors import SourceError
from tracker.observe.campplus import VoiceEmbedder
from tracker.sources.files import FileSource
from tracker.sources.media import AudioChunk, opened
from tracker.turns.activity import SpeakerActivity
from tracker.turns.segment import AudioSegmenter
from tracker.turns.turn import Turn
from tracker.turns.voice import VoiceDetector

_LONGEST_S = 600.0


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
            if chunk.end_ns > _LONGEST_S * 1e9:
                raise SourceError(f"{source.name}: is longer than {_LONGEST_S / 60:g} minutes; a minute is enough")
            found += await to_thread.run_sync(cut, chunk)
    found += [record for record in segmenter.finish() if isinstance(record, Turn)]
    return await to_thread.run_sync(
        lambda: voice_of(found, lambda turn: embed(turn.samples), config.speakers, source.name)
    )
