"""A turn in, the speaker's face features out, or why there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from jaxtyping import Float32

from adapters.contract import MELD_LABELS, Absent, Features
from adapters.features.visual import CHANNELS, SPEC
from tracker.observe.video.choose import FaceBook, by_track, choose
from tracker.observe.video.look import Glimpse
from tracker.observe.video.seen import Expression, Look, Seen
from tracker.observe.video.sight import Sight
from tracker.runtime.memo import Memo
from tracker.turns.turn import Turn

_SMOOTH = 2  # glimpses on each side over which an expression is averaged: one is easily mistaken
_TELLING = ("face too small", "too dark", "no face", "camera off")


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    turn: Turn
    glimpses: tuple[Glimpse, ...]
    known: dict[int, float]

    def key(self) -> object:
        """What a face is chosen by; glimpses are equal to themselves only."""
        return self.turn.span, self.glimpses, self.known


class FaceObserver:
    """Sees turns one after the other, also ahead of the end of one.

    Args:
        sight: What was seen.
        unseen: Why there is nothing where there is no picture of a turn at all.
    """

    def __init__(self, sight: Sight, unseen: str) -> None:
        self._sight = sight
        self._unseen = unseen
        self._book = FaceBook()
        self._once: Memo[_Asked, Seen] = Memo(self._seen, key=_Asked.key)

    async def glimpses(self, turn: Turn) -> list[Glimpse]:
        """What was seen during a turn, once it has been seen to its end."""
        return await self._sight.of(turn)

    def guess(self, turn: Turn, speaker: str, glimpses: Sequence[Glimpse]) -> Seen:
        """The speaker's face of a turn that may be the next; nothing is remembered but the result itself."""
        known = self._book.odds(speaker, list(by_track(glimpses)))
        return self._once(_Asked(turn, tuple(glimpses), known))

    def _seen(self, asked: _Asked) -> Seen:
        glimpses, faces = asked.glimpses, by_track(asked.glimpses)
        if not faces:
            return Seen(Absent(why_unseen(glimpses, self._unseen)))
        choice = choose(glimpses, asked.turn, asked.known)
        rows = [(glimpses[index].at_ns, face.features) for index, face in faces[choice.track]]
        values = np.stack([features for _, features in rows])
        return Seen(Features(SPEC, values), Look(choice, len(rows), course([at for at, _ in rows], values)))

    def see(self, turn: Turn, speaker: str, glimpses: Sequence[Glimpse]) -> Seen:
        """The speaker's face of the next turn."""
        seen = self.guess(turn, speaker, glimpses)
        if seen.look:
            self._book.learn(speaker, seen.look.choice)
        return seen

    def done(self, turn: Turn) -> None:
        """A turn is over and will not be seen again."""
        self._sight.done(turn)


def blind(why: str) -> FaceObserver:
    """Sees nothing, for a reason."""
    sight = Sight(None)
    sight.end()
    return FaceObserver(sight, why)


def why_unseen(glimpses: Sequence[Glimpse], otherwise: str) -> str:
    """Why a turn shows no face: what is known of the nearest to one."""
    reasons = {glimpse.unseen for glimpse in glimpses}
    return next((reason for reason in _TELLING if reason in reasons), otherwise)


def course(times_ns: Sequence[int], values: Float32[np.ndarray, "time dim"]) -> tuple[Expression, ...]:
    """How an expression changed: averaged over its neighbours, and told where it becomes another.

    Args:
        times_ns: Media time of each row.
        values: Features as `adapters.features.visual.SPEC`.
    """
    scores = values[:, CHANNELS:].astype(np.float64)
    smooth = [scores[max(0, i - _SMOOTH) : i + _SMOOTH + 1].mean(0) for i in range(len(scores))]
    labels = [MELD_LABELS.labels[int(row.argmax())] for row in smooth]
    runs = [next(run) for _, run in groupby(zip(times_ns, labels, strict=True), key=lambda one: one[1])]
    return tuple(Expression(at_ns, label) for at_ns, label in runs)
