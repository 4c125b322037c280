"""Work on a turn before it is known to be over: begun where speech pauses, of use where nobody goes on.

What is done ahead changes nothing that later turns depend on, and the steps remember their last result
(`tracker.runtime.memo`): when the turn turns out to be what was worked on, they have it at hand. So a session's events
are the same with and without it, however much or little of it a machine finds the time for. One turn is worked on at a
time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tracker.observe.records import FailedTurn, ObservedTurn
from tracker.recognise import JudgedTurn, SilentTurn
from tracker.runtime.clock import NS_PER_MS, Clock
from tracker.runtime.edges import Edge
from tracker.turns.turn import Turn

Judgement = JudgedTurn | SilentTurn | FailedTurn


@dataclass(frozen=True, slots=True)
class AheadSteps:
    """The steps as they are done ahead: they remember nothing of the conversation.

    With ``partials``, what they come to is shown before the turn is over.
    """

    observe: Callable[[Turn], Awaitable[ObservedTurn | FailedTurn]]
    recognise: Callable[[ObservedTurn], Awaitable[Judgement]]
    partials: bool = False


@dataclass
class Tally:
    """How often it was worth it.

    Attributes:
        begun: Turns that were worked on ahead.
        hits: Those that were over.
        wasted: Those that went on, or were cut elsewhere.
        spent_ms: Milliseconds of work ahead.
        wasted_ms: Those spent on what went on.
        left_out: Pauses at which there was no time for it.
        partials: Judgements that were shown before the turn was over.
        missed: How often a sink was too busy for one.
    """

    begun: int = 0
    hits: int = 0
    wasted: int = 0
    spent_ms: float = 0.0
    wasted_ms: float = 0.0
    left_out: int = 0
    partials: int = 0
    missed: int = 0


@dataclass
class _Job:
    turn: Turn
    ms: float | None = None
    hit: bool | None = None


class Ahead:
    """Works on the turn whose speaker has paused last.

    Args:
        steps: What is done.
        clock: For how long it took.
        may: Whether there is time for it; asked at each pause.
        tally: Is kept.
        partial: Shows what was judged of a turn that is not over, and tells how many sinks missed it.
    """

    def __init__(
        self,
        steps: AheadSteps,
        clock: Clock,
        may: Callable[[], bool],
        tally: Tally,
        partial: Callable[[JudgedTurn], Awaitable[int]],
    ) -> None:
        self._steps = steps
        self._clock = clock
        self._may = may
        self._tally = tally
        self._partial = partial
        self._paused: Edge[Turn] = Edge("ahead", 1, "latest")
        self._wanted: Turn | None = None
        self._job: _Job | None = None

    def pause(self, turn: Turn) -> None:
        """Speech has stopped: this may be the turn."""
        if self._may():
            self._wanted = turn
            self._paused.send_nowait(turn)
        else:
            self._tally.left_out += 1

    def resume(self, number: int) -> None:
        """Speech went on: no work begins on that turn; what was begun is of use if it was somebody else who went on."""
        self._forget(number)

    def end(self, turn: Turn) -> None:
        """A turn is over, and this is it."""
        self._forget(turn.number)
        job = self._job
        if job and job.hit is None and job.turn.number == turn.number:
            job.hit = turn.span == job.turn.span
            self._count(job)

    def close(self) -> None:
        """No more turns will come."""
        self._wanted = None
        self._give_up()
        self._paused.close()

    async def run(self) -> None:
        """Work until closed."""
        async for turn in self._paused:
            if turn is self._wanted:
                self._give_up()
                self._job = job = _Job(turn)
                begun = self._clock.now_ns()
                await self._work(job)
                job.ms = (self._clock.now_ns() - begun) / NS_PER_MS
                self._tally.begun += 1
                self._tally.spent_ms += job.ms
                self._count(job)

    async def _work(self, job: _Job) -> None:
        turn = job.turn
        observed = await self._steps.observe(turn)
        if (
            job.hit is not None
            or (self._wanted is not None and self._wanted is not turn)
            or isinstance(observed, FailedTurn)
        ):
            return
        judged = await self._steps.recognise(observed)
        if turn is self._wanted and self._steps.partials and isinstance(judged, JudgedTurn):
            self._tally.partials += 1
            self._tally.missed += await self._partial(judged)

    def _forget(self, number: int) -> None:
        if self._wanted and self._wanted.number == number:
            self._wanted = None

    def _give_up(self) -> None:
        """The steps remember one result: the job before is of no use any more."""
        if self._job and self._job.hit is None:
            self._job.hit = False
            self._count(self._job)

    def _count(self, job: _Job) -> None:
        """Once it is known both how long it took and what it was good for."""
        if job.ms is not None and job.hit is not None:
            self._tally.hits += job.hit
            self._tally.wasted += not job.hit
            self._tally.wasted_ms += 0.0 if job.hit else job.ms
