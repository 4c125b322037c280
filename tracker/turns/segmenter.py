"""Where turns begin and end: a state machine over 20 ms frames, without audio, clock or I/O.

A turn opens once enough of the last frames were voiced, and begins a little before the first of them (pre-roll). When
speech stops for ``pause`` frames the machine says so; the turn ends only after ``silence`` frames. Work may begin at
the first; nothing is final before the second. A speaker who never pauses is cut at ``maximum`` frames, at the quietest
place of the last third. Call `Segmenter.split` where the speaker changed, and `Segmenter.wait` to set how long the
current pause may last.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, NamedTuple

FRAME_MS = 20
_SMOOTH = 5  # frames over which "quiet" is judged: 100 ms, about half a syllable

EndedBy = Literal["pause", "speaker_change", "max_length", "end_of_media"]


class SpeechFrame(NamedTuple):
    """One frame's evidence: whether it is speech, and how loud it is in dB (any reference)."""

    voiced: bool
    level_db: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The segmenter's numbers, in frames.

    Attributes:
        window: The last frames, in which voice opens a turn.
        needed: Voiced frames among them that open a turn.
        pre_roll: Frames put before the first voiced one.
        hangover: Frames kept after the last voiced one.
        least_voiced: Voiced frames below which there is no turn.
        pause: Unvoiced frames after which speech counts as stopped.
        silence: Unvoiced frames after which the turn is over; at least ``pause``.
        maximum: Frames after which a turn is cut.
        progress: Frames after which a turn under way is reported, again and again; 0: never.
    """

    window: int = 10
    needed: int = 7
    pre_roll: int = 15
    hangover: int = 5
    least_voiced: int = 10
    pause: int = 10
    silence: int = 25
    maximum: int = 1000
    progress: int = 0

    def __post_init__(self) -> None:
        """Reject numbers with which no turn could be found or ended."""
        if not 0 < self.needed <= self.window:
            raise ValueError(f"needed must be in 1..window ({self.window}), not {self.needed}")
        if not 0 < self.pause <= self.silence:
            raise ValueError(f"pause must be in 1..silence ({self.silence}), not {self.pause}")
        if self.maximum < 3 * (self.window + self.pre_roll):
            raise ValueError(f"maximum must be at least three times window + pre_roll, not {self.maximum}")


class SegmentStart(NamedTuple):
    """A turn began at frame ``start``; its `SegmentEnd` follows."""

    start: int


class SegmentProgress(NamedTuple):
    """Speech goes on; ``so_far`` is the turn if the media ended here."""

    so_far: SegmentEnd


class SegmentResume(NamedTuple):
    """Speech of the turn that began at frame ``start`` went on after `SegmentPause`."""

    start: int


class SegmentEnd(NamedTuple):
    """The turn is over: frames ``start`` to ``end`` (exclusive), known after ``decided`` frames."""

    start: int
    end: int
    decided: int
    voiced: int
    by: EndedBy


class SegmentPause(NamedTuple):
    """Speech seems to have stopped. The turn may still go on; ``would_be`` is its end if it does not."""

    would_be: SegmentEnd


Decision = SegmentStart | SegmentProgress | SegmentPause | SegmentResume | SegmentEnd


@dataclass
class _Speaking:
    start: int
    frames: list[SpeechFrame]
    opened: bool = False
    paused: bool = False
    silence: int | None = None  # that ends this pause, where it differs from the limits

    @property
    def voiced(self) -> int:
        return sum(frame.voiced for frame in self.frames)

    @property
    def speech_end(self) -> int:
        """The first frame after the last voiced one."""
        trailing = next(i for i, frame in enumerate(reversed(self.frames)) if frame.voiced)
        return self.start + len(self.frames) - trailing


class Segmenter:
    """Feed frames in order; each call returns what that frame decided.

    Args:
        limits: The numbers.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._recent: deque[SpeechFrame] = deque(maxlen=limits.window + limits.pre_roll)
        self._count = 0
        self._turn: _Speaking | None = None

    @property
    def start(self) -> int | None:
        """The first frame of the turn under way, or None between turns."""
        return self._turn.start if self._turn else None

    @property
    def keep_from(self) -> int:
        """The earliest frame whose audio may still be needed."""
        return self._turn.start if self._turn else self._count - len(self._recent)

    def feed(self, frame: SpeechFrame) -> list[Decision]:
        """Take the next frame."""
        self._count += 1
        if self._turn is None:
            self._recent.append(frame)
            return self._begin()
        self._turn.frames.append(frame)
        return self._go_on(self._turn, frame)

    def split(self, at: int) -> list[Decision]:
        """The speaker changed at a frame inside the turn under way: end the one turn there, go on with the next."""
        if self._turn is None or not self._turn.start < at < self._count:
            return []
        return self._divide(self._turn, at - self._turn.start, "speaker_change")

    def wait(self, silence: int) -> None:
        """Let this pause, and no other, end its turn after so many unvoiced frames, the next frame at the earliest."""
        if self._turn and self._turn.paused:
            self._turn.silence = silence

    def would_split(self, at: int) -> SegmentEnd | None:
        """How the turn under way would end if the speaker changed at a frame; None outside of it, or in a pause."""
        turn = self._turn
        if turn is None or not turn.opened or turn.paused or not turn.start < at < self._count:
            return None
        return self._cut(turn, at - turn.start, "speaker_change")

    def finish(self) -> list[Decision]:
        """The media ended: a turn under way ends with it."""
        return self._end(self._turn, "end_of_media") if self._turn else []

    def _begin(self) -> list[Decision]:
        limits, recent = self._limits, list(self._recent)
        window = recent[-limits.window :]
        if sum(frame.voiced for frame in window) < limits.needed:
            return []
        first_voiced = len(recent) - len(window) + next(i for i, frame in enumerate(window) if frame.voiced)
        begin = max(0, first_voiced - limits.pre_roll)
        self._turn = _Speaking(self._count - len(recent) + begin, recent[begin:])
        self._recent.clear()
        return self._open_if_enough(self._turn)

    def _open_if_enough(self, turn: _Speaking) -> list[Decision]:
        if turn.opened or turn.voiced < self._limits.least_voiced:
            return []
        turn.opened = True
        return [SegmentStart(turn.start)]

    def _go_on(self, turn: _Speaking, frame: SpeechFrame) -> list[Decision]:
        decisions = self._open_if_enough(turn)
        if frame.voiced and turn.paused:
            turn.paused, turn.silence = False, None
            decisions.append(SegmentResume(turn.start))
        quiet = self._count - turn.speech_end
        if quiet >= (turn.silence or self._limits.silence):
            return decisions + self._end(turn, "pause")
        if quiet >= self._limits.pause and turn.opened and not turn.paused:
            turn.paused = True
            decisions.append(SegmentPause(self._ended(turn, "pause")))
        if len(turn.frames) >= self._limits.maximum:
            return decisions + self._divide(turn, _quietest(turn.frames), "max_length")
        every = self._limits.progress
        if every and len(turn.frames) % every == 0 and turn.opened and not turn.paused:
            decisions.append(SegmentProgress(self._ended(turn, "end_of_media")))
        return decisions

    def _end(self, turn: _Speaking, by: EndedBy) -> list[Decision]:
        ended = self._ended(turn, by)
        self._turn = None
        # What follows the end may already be the lead-in of the next turn.
        self._recent.extend(turn.frames[ended.end - turn.start :])
        return [ended] if turn.opened else []

    def _ended(self, turn: _Speaking, by: EndedBy) -> SegmentEnd:
        end = min(turn.speech_end + self._limits.hangover, self._count)
        return SegmentEnd(turn.start, end, self._count, turn.voiced, by)

    def _cut(self, turn: _Speaking, at: int, by: EndedBy) -> SegmentEnd:
        voiced = sum(frame.voiced for frame in turn.frames[:at])
        return SegmentEnd(turn.start, turn.start + at, self._count, voiced, by)

    def _divide(self, turn: _Speaking, at: int, by: EndedBy) -> list[Decision]:
        ended, right = self._cut(turn, at, by), turn.frames[at:]
        decisions: list[Decision] = [ended] if turn.opened else []
        if not any(frame.voiced for frame in right):
            self._turn = None
            self._recent.extend(right)
            return decisions
        self._turn = _Speaking(ended.end, right)
        decisions += self._open_if_enough(self._turn)
        if turn.paused and self._turn.opened:
            self._turn.paused = True
            decisions.append(SegmentPause(self._ended(self._turn, "pause")))
        return decisions


def _quietest(frames: list[SpeechFrame]) -> int:
    """The index in the last third whose surroundings are quietest; unvoiced before voiced."""
    earliest = len(frames) * 2 // 3

    def loudness(at: int) -> tuple[bool, float]:
        around = frames[max(0, at - _SMOOTH // 2) : at + _SMOOTH // 2 + 1]
        return frames[at].voiced, sum(frame.level_db for frame in around) / len(around)

    return min(range(earliest, len(frames) - _SMOOTH), key=loudness)
