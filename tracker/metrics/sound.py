"""What a user should know about the sound of a session, in sentences. Pure."""

from __future__ import annotations

import numpy as np

from tracker.events import SessionEnded
from tracker.observe.records import Transcript
from tracker.runtime.clock import NS_PER_S
from tracker.sources.media import AudioChunk
from tracker.turns.turn import ChannelRepeats

_SILENT, _QUIET = 1e-4, 1e-2  # loudest sample: 80 and 40 dB below full scale
_KNOWN_NS = 10 * NS_PER_S  # by then somebody has spoken as loud as they do
_SAME_DB = 3.0
_SILENCE = "nothing but silence was heard: is it the right device or channel, and is it not muted?"


class SoundCheck:
    """Listens to a session for sound that is too quiet, and says why nothing may have come of it.

    Args:
        live: Whether it is captured as it happens; a recording may well begin with silence.
    """

    def __init__(self, live: bool) -> None:
        self._live = live
        self._peak = 0.0
        self._told = False
        self._foreign = False

    def hear(self, chunk: AudioChunk) -> str:
        """Take the next chunk of any channel; a sentence once, where all has been very quiet for a while."""
        self._peak = max(self._peak, float(np.abs(chunk.samples).max(initial=0.0)))
        silent = self._peak < _SILENT
        if self._told or chunk.end_ns < _KNOWN_NS or self._peak >= _QUIET or (silent and not self._live):
            return ""
        self._told = True
        return _SILENCE if silent else self._very_quiet()

    def understood(self, transcript: Transcript) -> str:
        """Take the next turn's words; a sentence once, where they are in another language than was declared."""
        if self._foreign or not transcript.seems:
            return ""
        self._foreign = True
        return (
            f'somebody seems to speak "{transcript.seems}", and transcribe.language is "{transcript.language}": such '
            f'turns are judged without their words. Set transcribe.language = "{transcript.seems}", or "auto"'
        )

    def conclusion(self, ended: SessionEnded, without_words: int) -> str:
        """Why a session has few turns or none, as far as its sound tells; empty where that is no question.

        Args:
            ended: How it ended.
            without_words: Its turns in which no words were recognised.
        """
        if ended.outcome == "aborted" or not ended.media_ns:
            return ""
        if self._peak < _SILENT and not ended.turns_started:
            return _SILENCE
        if self._peak < _QUIET:
            return "" if self._told else self._very_quiet()
        if not ended.turns_started:
            return (
                f"no speech was found in the sound (its loudest sample is at {self._level}): is it music or noise? If "
                "people speak in it, lower turns.speech_gate or turns.vad_mode"
            )
        if without_words < ended.turns_started:
            return ""
        return (
            "no words were recognised in any turn: is it music, or another language than transcribe.language and "
            "transcribe.model are for?"
        )

    def _very_quiet(self) -> str:
        return (
            f"the sound is very quiet (its loudest sample is at {self._level}): it is amplified, but words and turns "
            "may be missed; raise its level where it is recorded"
        )

    @property
    def _level(self) -> str:
        return f"{20 * np.log10(self._peak):.0f} dBFS"


def repetition(found: ChannelRepeats) -> str:
    """A channel has what another one has."""
    channel, of = found.channel + 1, found.of + 1
    if abs(found.level_db) < _SAME_DB:
        return f"channels {of} and {channel} are the same: what is in both is heard once, in channel {of}"
    return f"channel {of} is also heard in channel {channel}, quieter and {found.lag_ms} ms later: it is left out there"
