"""Laughter, crying and the like in a turn, and whether anything else is in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from adapters.contract import Sound
from tracker.observe.records import Transcript
from tracker.turns.segment import Samples

SoundFinder = Callable[[Samples], Sequence[Sound]]
"""Finds the sounds in some audio; runs in a thread."""

_WHOLE, _HALF = 0.8, 0.4  # shares of a turn: from the first, sounds are all that is in it, from the second beside ...
_FEW = 2  # ... so few words, which a recogniser makes of laughter ("So...")


def nothing(_samples: Samples) -> Sequence[Sound]:
    """No sounds, for where none are listened for."""
    return ()


def believed(transcript: Transcript, sounds: Sequence[Sound], duration_s: float) -> Transcript:
    """The transcript of a turn, without the words of one that is all laughter, sobs or the like.

    A recogniser hears words in those, too.

    Args:
        transcript: As it was recognised.
        sounds: In the turn.
        duration_s: How long the turn is.
    """
    heard = sum(sound.end_s - sound.start_s for sound in sounds)
    enough = _HALF if len(transcript.text.split()) <= _FEW else _WHOLE
    if not transcript.text or heard < enough * duration_s:
        return transcript
    labels = ", ".join(dict.fromkeys(sound.label for sound in sounds))
    return replace(transcript, text="", text_en=None, words=(), why_empty=f"{labels}, no words")
