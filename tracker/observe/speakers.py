"""Who is speaking: each voice is matched to the speakers known so far. Pure: embeddings in, names out.

A speaker is a few unit vectors (modes), since the same person sad and angry can be further apart (cosine 0.39) than
two people who are calm (0.24 on average, both measured with CAM++ on RAVDESS). Vectors move slowly and only towards
voices that were clearly the speaker's, so that a doubtful turn cannot shift a profile. A name, once given, stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

Vector = Float32[np.ndarray, " dim"]

_MODES = 4
_RATE = 0.2  # weight of a new voice in a mode's moving average
_SURE = 0.15  # above the threshold by this much, a voice may move its speaker's modes
_SHORT_SLACK = 0.3  # added for a short voice: its embedding is noisy
_TENTATIVE_SLACK = 0.1  # added where the profile is from a short turn only


@dataclass(frozen=True, slots=True)
class VoiceSample:
    """The voice of one turn.

    Attributes:
        embedding: Unit vector.
        duration_s: Length of the turn in seconds.
        changed: Whether the turn before on this channel was ended by a change of speaker.
    """

    embedding: Vector
    duration_s: float
    changed: bool = False


@dataclass
class _Profile:
    name: str
    modes: list[Vector]
    tentative: bool  # known from a short turn only

    def similarity(self, embedding: Vector) -> float:
        return max(float(mode @ embedding) for mode in self.modes)

    def learn(self, embedding: Vector, same_above: float) -> None:
        if self.tentative:
            self.modes, self.tentative = [embedding], False
            return
        nearest = max(range(len(self.modes)), key=lambda i: float(self.modes[i] @ embedding))
        if float(self.modes[nearest] @ embedding) < same_above + 2 * _SURE and len(self.modes) < _MODES:
            self.modes.append(embedding)
            return
        moved = (1 - _RATE) * self.modes[nearest] + _RATE * embedding
        self.modes[nearest] = (moved / np.linalg.norm(moved)).astype(np.float32)


@dataclass
class SpeakerRegistry:
    """The speakers of one session, named in order of appearance: Speaker 1, Speaker 2, ...

    Attributes:
        same_above: Cosine from which a voice is taken for a known speaker's.
        max_speakers: Profiles kept; a further voice goes to the nearest of them.
        short_turn_s: Turns under this many seconds are judged leniently, teach nothing, and open a profile only
            where nothing is near.
        continuity: Cosine added for the last speaker in short turns. After a change of speaker it is taken off
            instead, and nothing is lenient towards the speaker whose turn that ended.
    """

    same_above: float
    max_speakers: int
    short_turn_s: float
    continuity: float
    _profiles: list[_Profile] = field(default_factory=list)
    _last: str | None = None

    @property
    def names(self) -> list[str]:
        """All speakers so far, in order of appearance."""
        return [profile.name for profile in self._profiles]

    def identify(self, voice: VoiceSample) -> str:
        """The speaker of the next turn."""
        short = self._short(voice)
        profile = self._match(voice, short)
        if profile is None:
            profile = _Profile(self._next_name(), [voice.embedding], tentative=short)
            self._profiles.append(profile)
        elif not short and (profile.tentative or profile.similarity(voice.embedding) >= self.same_above + _SURE):
            profile.learn(voice.embedding, self.same_above)
        self._last = profile.name
        return profile.name

    def guess(self, voice: VoiceSample) -> str:
        """The name that `identify` would return; nothing is learned."""
        profile = self._match(voice, self._short(voice))
        return profile.name if profile else self._next_name()

    def _short(self, voice: VoiceSample) -> bool:
        return voice.duration_s < self.short_turn_s

    def _next_name(self) -> str:
        return f"Speaker {len(self._profiles) + 1}"

    def _match(self, voice: VoiceSample, short: bool) -> _Profile | None:
        if not self._profiles:
            return None

        def score(profile: _Profile) -> float:
            """By how much a similarity exceeds the threshold."""
            similarity = profile.similarity(voice.embedding)
            slack = _SHORT_SLACK if short else _TENTATIVE_SLACK if profile.tentative else 0.0
            if profile.name == self._last:
                if voice.changed:
                    return similarity - self.continuity - self.same_above
                similarity += self.continuity if short else 0.0
            return similarity - self.same_above + slack

        best = max(self._profiles, key=score)
        return best if score(best) >= 0 or len(self._profiles) >= self.max_speakers else None
