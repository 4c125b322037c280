"""Whose face is the speaker's: a turn and its frames in, one face and its features out, or why there is none.

A mouth that moves while the turn's voice is heard is evidence for its face; so is that the same face was the speaker's
in earlier turns. Where neither separates the faces, the largest is taken, since a camera points at whom it is about.
Pure but for `FaceObserver`, which remembers earlier turns.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from jaxtyping import Float32

from adapters.contract import MELD_LABELS, Absent, Features
from adapters.features.visual import CHANNELS, SPEC
from tracker.observe.video.buffer import FrameBuffer
from tracker.observe.video.records import (
    STILL,
    ExpressionChange,
    FaceChoice,
    FrameFaces,
    SpeakerFace,
    TrackedFace,
    TurnVideo,
)
from tracker.observe.video.stillness import STILL_NS
from tracker.runtime.clock import ns_to_samples
from tracker.runtime.memo import Memo
from tracker.sources.media import RATE_HZ
from tracker.turns.turn import Turn

_CLEAR = 0.6  # share of the evidence from which a face stands out
_SOME_MOTION = 1.0  # grey levels a frame, added to each face's, so that two still mouths are equally likely
_WINDOW_S = 0.2  # before a frame, in which its voice is measured
_QUIET = 0.3  # of the turn's loudness: a mouth that moves in a pause is no evidence
_PRIOR = 2.0  # turns that each face starts with, so that one turn is weak evidence
_DECAY = 0.9  # factor on a turn's weight at each later turn of its speaker
_SMOOTH = 2  # frames on each side over which an expression is averaged: a single one is easily mistaken
_REASONS = ("face too small", "too dark", "no face", "camera off")  # the nearest to a face first


class FaceAssociations:
    """Which face belonged to which speaker in earlier turns."""

    def __init__(self) -> None:
        self._turns: defaultdict[str, Counter[int]] = defaultdict(Counter)

    def odds(self, speaker: str, tracks: Sequence[int]) -> dict[int, float]:
        """The evidence for each face being a speaker's: earlier turns with it, over those of others with it."""
        odds = {}
        for track in tracks:
            others = sum(turns[track] for name, turns in self._turns.items() if name != speaker)
            odds[track] = (_PRIOR + self._turns[speaker][track]) / (_PRIOR + others)
        return odds

    def merge(self, speaker: str, into: str) -> None:
        """Two speakers are one."""
        self._turns[into].update(self._turns.pop(speaker, Counter()))

    def learn(self, speaker: str, choice: FaceChoice) -> None:
        """Count a turn; guesses by size and by earlier turns teach nothing."""
        if choice.by in ("only", "mouth"):
            turns = self._turns[speaker]
            for track in turns:
                turns[track] *= _DECAY  # type: ignore[assignment]  # a counter of weights
            turns[choice.track] += choice.confidence  # type: ignore[assignment]


def choose_face(frames: Sequence[FrameFaces], turn: Turn, odds: Mapping[int, float]) -> FaceChoice:
    """The speaker's face.

    Args:
        frames: Those of the turn; at least one has a face.
        turn: For its voice.
        odds: The evidence of earlier turns for each face (`FaceAssociations.odds`).
    """
    faces = by_track(frames)
    if len(faces) == 1:
        (track, shown), *_ = faces.items()
        return FaceChoice(track, "only", len(shown) / len(frames) * min(1.0, odds.get(track, 1.0)), 1)
    voiced = voiced_frames(frames, turn)
    mouth = _shares({track: _SOME_MOTION + _motion(shown, voiced) for track, shown in faces.items()})
    both = _shares({track: mouth[track] * odds.get(track, 1.0) for track in faces})
    for by, shares in (("mouth", mouth), ("speaker", both)):
        best = max(shares, key=lambda track: (shares[track], -track))
        if shares[best] >= _CLEAR and both[best] >= _CLEAR:
            return FaceChoice(best, by, both[best], len(faces))  # type: ignore[arg-type]
    sizes = {track: sum(face.box.area for _, face in shown) for track, shown in faces.items()}
    largest = max(sizes, key=lambda track: (sizes[track], -track))
    return FaceChoice(largest, "size", both[largest], len(faces))


def by_track(frames: Sequence[FrameFaces]) -> dict[int, list[tuple[int, TrackedFace]]]:
    """Each face's appearances, with the index of the frame."""
    faces: dict[int, list[tuple[int, TrackedFace]]] = {}
    for index, frame in enumerate(frames):
        for face in frame.faces:
            faces.setdefault(face.track, []).append((index, face))
    return faces


def voiced_frames(frames: Sequence[FrameFaces], turn: Turn) -> list[bool]:
    """Whether there is a voice just before each frame, when its motion happened."""
    levels = [_level(turn.samples, ns_to_samples(frame.at_ns - turn.start_ns, RATE_HZ)) for frame in frames]
    loudest = max(levels, default=0.0)
    return [level >= _QUIET * loudest for level in levels]


def _level(samples: Float32[np.ndarray, " samples"], end: int) -> float:
    window = samples[max(0, end - round(_WINDOW_S * RATE_HZ)) : max(1, end)]
    return float(np.sqrt(np.mean(np.square(window, dtype=np.float64)))) if len(window) else 0.0


def _motion(shown: Sequence[tuple[int, TrackedFace]], voiced: Sequence[bool]) -> float:
    """Mean motion of a mouth while there is a voice; a face that was absent then did not speak."""
    return sum(face.motion for index, face in shown if voiced[index]) / max(1, sum(voiced))


def _shares(weights: Mapping[int, float]) -> dict[int, float]:
    total = sum(weights.values())
    return {track: weight / total for track, weight in weights.items()}


def reason_for_no_face(frames: Sequence[FrameFaces], otherwise: str) -> str:
    """Why a turn has no face: the reason of the frame that came nearest to one."""
    reasons = {frame.no_face for frame in frames}
    return next((reason for reason in _REASONS if reason in reasons), otherwise)


def moving(frames: Sequence[FrameFaces]) -> list[FrameFaces]:
    """The frames of a turn without those of a picture that does not change."""
    if not any(frame.stillness is None or frame.stillness.moves for frame in frames):
        return []
    last_ns = {frame.stillness.since_ns: frame.at_ns for frame in frames if frame.stillness}
    return [
        frame
        for frame in frames
        if frame.stillness is None or last_ns[frame.stillness.since_ns] - frame.stillness.since_ns < STILL_NS
    ]


def course(times_ns: Sequence[int], values: Float32[np.ndarray, "time dim"]) -> tuple[ExpressionChange, ...]:
    """How an expression changed, averaged over neighbouring frames.

    Args:
        times_ns: Media time of each row.
        values: Features as `adapters.features.visual.SPEC`.
    """
    scores = values[:, CHANNELS:].astype(np.float64)
    smooth = [scores[max(0, i - _SMOOTH) : i + _SMOOTH + 1].mean(0) for i in range(len(scores))]
    labels = [MELD_LABELS.labels[int(row.argmax())] for row in smooth]
    runs = [next(run) for _, run in groupby(zip(times_ns, labels, strict=True), key=lambda one: one[1])]
    return tuple(ExpressionChange(at_ns, label) for at_ns, label in runs)


@dataclass(frozen=True, slots=True, eq=False)
class _Query:
    turn: Turn
    frames: tuple[FrameFaces, ...]
    odds: dict[int, float]

    def key(self) -> object:
        """What a face is chosen by; a frame equals only itself."""
        return self.turn.span, self.frames, self.odds


class FaceObserver:
    """Observes the speaker's face of turns, one after the other, and of turns that may be the next.

    Args:
        buffer: Keeps the frames.
        absent_reason: Why there is no face where a turn has no frame at all.
    """

    def __init__(self, buffer: FrameBuffer, absent_reason: str) -> None:
        self._buffer = buffer
        self._absent_reason = absent_reason
        self._associations = FaceAssociations()
        self._memo: Memo[_Query, TurnVideo] = Memo(self._choose, key=_Query.key)

    async def frames(self, turn: Turn) -> list[FrameFaces]:
        """The frames of a turn, once they have reached its end."""
        return await self._buffer.during(turn)

    def observe(self, turn: Turn, speaker: str, frames: Sequence[FrameFaces]) -> TurnVideo:
        """The speaker's face of the next turn."""
        video = self.guess(turn, speaker, frames)
        if video.face:
            self._associations.learn(speaker, video.face.choice)
        return video

    def guess(self, turn: Turn, speaker: str, frames: Sequence[FrameFaces]) -> TurnVideo:
        """The speaker's face of a turn that may be the next; nothing is learned from it."""
        odds = self._associations.odds(speaker, list(by_track(frames)))
        return self._memo(_Query(turn, tuple(frames), odds))

    def merge(self, speaker: str, into: str) -> None:
        """Two speakers are one."""
        self._associations.merge(speaker, into)

    def done(self, turn: Turn) -> None:
        """A turn is over and will not be observed again."""
        self._buffer.done(turn)

    def _choose(self, query: _Query) -> TurnVideo:
        frames = moving(query.frames)
        faces = by_track(frames)
        if not faces:
            still = by_track(query.frames)
            return TurnVideo(Absent(STILL if still else reason_for_no_face(query.frames, self._absent_reason)))
        choice = choose_face(frames, query.turn, query.odds)
        times_ns = [frames[index].at_ns for index, _ in faces[choice.track]]
        values = np.stack([face.features for _, face in faces[choice.track]])
        return TurnVideo(Features(SPEC, values), SpeakerFace(choice, len(values), course(times_ns, values)))


def no_faces(reason: str) -> FaceObserver:
    """Observes no face, for a reason."""
    buffer = FrameBuffer(None)
    buffer.end()
    return FaceObserver(buffer, reason)
