"""Who is speaking: each voice is matched to the speakers known so far. Pure: embeddings in, names out.

A speaker is a few unit vectors (modes), since the same person sad and angry can be further apart (cosine 0.39) than
two people who are calm (0.24 on average, both measured with CAM++ on RAVDESS). Vectors move slowly and only towards
voices that were clearly the speaker's, so that a doubtful turn cannot shift a profile.

A strong emotion may split a speaker in two. Once a voice is near both and they sound alike on average, the later one is
merged into the earlier. In simulated conversations of one to four people (acted emotions of RAVDESS, EmoDB and nEMO, 30
turns each) 2.2, 4.0, 5.6 and 7.0 speakers become 1.4, 2.9, 4.4 and 5.9; nine merges in ten are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

Vector = Float32[np.ndarray, " dim"]
DIM = 192
"""Of CAM++'s embeddings."""

_MODES = 4
_RATE = 0.2  # weight of a new voice in a mode's moving average
_SURE = 0.15  # above the threshold by this much, a voice may move its speaker's modes
_SHORT_SLACK = 0.3  # added for a short voice: its embedding is noisy
_ALIKE_SLACK = 0.05  # below the threshold by no more, on average over their modes, two speakers sound alike
_ENROLLED = 0.1  # above the threshold by this much, a voice is one that was enrolled
_TENTATIVE_SLACK = 0.1  # added where the profile is from a short turn only


@dataclass(frozen=True, slots=True)
class VoiceSample:
    """The voice of one turn.

    Attributes:
        embedding: Unit vector.
        duration_s: Length of the turn in seconds.
        changed: Whether the turn before on this channel was ended by a change of speaker.
        overlapped: Whether somebody else spoke in it, too.
    """

    embedding: Vector
    duration_s: float
    changed: bool = False
    overlapped: bool = False


class Merge(NamedTuple):
    """A speaker who turned out to be another one."""

    speaker: str
    into: str


@dataclass(frozen=True, slots=True)
class EnrolledVoice:
    """A voice that is known before the session.

    Attributes:
        name: Whose it is.
        embedding: Unit vector.
    """

    name: str
    embedding: Vector


@dataclass(eq=False)
class _Profile:
    name: str
    modes: list[Vector]
    tentative: bool  # known from a short turn only
    person: str | None = None  # the name under which the voice is enrolled

    def similarity(self, embedding: Vector) -> float:
        return max(float(mode @ embedding) for mode in self.modes)

    def alike(self, other: _Profile) -> float:
        """Mean similarity of their modes."""
        return float(np.mean(np.stack(self.modes) @ np.stack(other.modes).T))

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
        enrolled: Voices that are known before the session; a speaker is told by no more than one of them.
        merges: Speakers who were found to be the same, not yet told; take them from here.
    """

    same_above: float
    max_speakers: int
    short_turn_s: float
    continuity: float
    enrolled: Sequence[EnrolledVoice] = ()
    merges: list[Merge] = field(default_factory=list)
    _profiles: list[_Profile] = field(default_factory=list)
    _named: int = 0
    _last: str | None = None

    @property
    def names(self) -> list[str]:
        """All speakers so far, in order of appearance."""
        return [profile.name for profile in self._profiles]

    def identify(self, voice: VoiceSample) -> str:
        """The speaker of the next turn."""
        short = self._short(voice)
        profile, person = self._match(voice, short)
        new = None
        if profile is None:
            profile = new = _Profile(self._next_name(), [voice.embedding], tentative=short)
            self._profiles.append(profile)
        elif not short and (profile.tentative or profile.similarity(voice.embedding) >= self.same_above + _SURE):
            profile.learn(voice.embedding, self.same_above)
        if person:
            profile.person = person.name
            profile.modes.append(person.embedding)
        if not short and not voice.overlapped:
            profile = self._merged(profile, voice, new)
        self._named += profile is new
        self._last = profile.name
        return profile.name

    def guess(self, voice: VoiceSample) -> str:
        """The name that `identify` would return; nothing is learned."""
        profile, _ = self._match(voice, self._short(voice))
        return profile.name if profile else self._next_name()

    def person(self, speaker: str) -> str | None:
        """The name under which a speaker's voice is enrolled; None for a voice that is not."""
        return next((profile.person for profile in self._profiles if profile.name == speaker), None)

    def _short(self, voice: VoiceSample) -> bool:
        return voice.duration_s < self.short_turn_s

    def _next_name(self) -> str:
        return f"Speaker {self._named + 1}"

    def _merged(self, profile: _Profile, voice: VoiceSample, new: _Profile | None) -> _Profile:
        """The speaker of a voice, once all others whose voice it is, too, and who sound alike, are one with them.

        Nobody knows yet of a ``new`` one: that it is merged need not be told.
        """
        others = [one for one in self._profiles if one is not profile]
        for other in [one for one in others if one.similarity(voice.embedding) >= self.same_above]:
            apart = (profile.person and other.person) or (voice.changed and self._last in (profile.name, other.name))
            if not apart and profile.alike(other) >= self.same_above - _ALIKE_SLACK:
                profile, gone = sorted((profile, other), key=self._profiles.index)
                profile.person = profile.person or gone.person
                profile.modes = [*profile.modes, *gone.modes][: 2 * _MODES]
                profile.tentative &= gone.tentative
                self._profiles.remove(gone)
                if gone is not new:
                    self.merges.append(Merge(gone.name, profile.name))
        return profile

    def _match(self, voice: VoiceSample, short: bool) -> tuple[_Profile | None, EnrolledVoice | None]:
        """Whose voice it is among those heard, and the enrolled voice that it is found to be by this turn."""
        heard = self._nearest(voice, short)
        taken = {profile.person for profile in self._profiles}
        free = [] if short else [one for one in self.enrolled if one.name not in taken]
        person = max(free, key=lambda one: float(one.embedding @ voice.embedding), default=None)
        if person is None or (alike := float(person.embedding @ voice.embedding)) < self.same_above + _ENROLLED:
            return heard, None
        if heard and alike <= heard.similarity(voice.embedding):
            return heard, None if heard.person else person
        return (None, person) if len(self._profiles) < self.max_speakers else (heard, None)

    def _nearest(self, voice: VoiceSample, short: bool) -> _Profile | None:
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
