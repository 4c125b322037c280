"""Neutral talk: telephone, meetings and read speech, taken as neutral so that a voice does not invent emotions.

Windows of 3 s, a new one every 1.5 s, from recordings that carry no emotion labels: AMI meetings trn03 to trn05 (CC BY
4.0), a telephone call (pyannote.audio's sample, MIT) and two LibriSpeech utterances (CC BY 4.0). Labels: neutral. The
folder holds ``telephone``, ``meetings`` and ``librispeech_pair``, 75 windows. Splits: ``train`` (44 windows), the first
18 s of the call and of each meeting; ``dev`` (31), the rest, and LibriSpeech as a whole; ``all``. No window spans the
border. Quirk: that the talk is neutral is an assumption, and people do laugh in it.
"""

from __future__ import annotations

from pathlib import Path

from adapters.contract import NEUTRAL, LabelSet
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Clip, Clips, existing
from adapters.datasets.sound import RATE_HZ, read_mono

_WINDOW, _STEP, _TRAIN, _LEAST = (round(seconds * RATE_HZ) for seconds in (3.0, 1.5, 18.0, 2.0))
_RECORDINGS = {
    "telephone/sample.flac": True,
    "meetings/trn03.flac": True,
    "meetings/trn04.flac": True,
    "meetings/trn05.flac": True,
    "librispeech_pair/6930-75918-0000.flac": False,
    "librispeech_pair/7902-96591-0000.flac": False,
}


def load(folder: Path, split: str) -> Clips:
    """Read one split.

    Raises:
        AdapterError: A recording is missing, damaged, or no mono sound of 16 kHz.
    """
    clips: list[Clip] = []
    for name, trainable in _RECORDINGS.items():
        path = existing(folder / name, "neutral talk")
        length = len(read_mono(path))
        border = min(_TRAIN, length) if trainable else 0
        for held_out, begin, end in ((False, 0, border), (True, border, length)):
            for start in range(begin, end - _LEAST + 1, _STEP):
                clips.append(Clip(path, 0, name, held_out, (start, min(start + _WINDOW, end))))
    return Clips(tuple(clips)).split(split)


TITLE = "AMI meetings trn03-05, a pyannote.audio telephone call and LibriSpeech, as neutral"
LABELS = LabelSet.of("neutral-talk", {"neutral": NEUTRAL})
SPLITS = {"train": "first 18 s of each but LibriSpeech", "dev": "the rest", "all": ""}
CORPUS = Corpus("neutral-talk", TITLE, "CC BY 4.0; MIT", Clips, LABELS, SPLITS, load)
