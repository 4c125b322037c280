import numpy as np
import pytest

from tracker.bench.non_speech import PART_S, RATE_HZ, made
from tracker.sources.media import AudioChunk
from tracker.turns.segment import AudioSegmenter
from tracker.turns.segmenter import Limits
from tracker.turns.turn import Turn
from tracker.turns.voice import VoiceDetector


@pytest.mark.parametrize(("name", "samples"), list(made()))
def test_what_is_no_speech_opens_no_turn(name, samples):
    assert len(samples) == PART_S * RATE_HZ
    assert 0.05 < np.abs(samples).max() <= 1, name
    segmenter = AudioSegmenter(1, lambda: VoiceDetector(2, 0.5).frame, Limits(), None)
    found = [*segmenter.feed(AudioChunk(0, 0, samples)), *segmenter.finish()]
    assert not [record for record in found if isinstance(record, Turn)]
