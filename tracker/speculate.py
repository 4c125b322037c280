"""Speculation: working on a turn before it is known to be over, where its speaker pauses or at a steady pace.

Speculative work changes nothing that later turns depend on, and the steps remember their last result
(`tracker.runtime.memo`): when the turn ends as it was worked on, they have the result at hand. So a session's events
are the same with and without it, however much of it a machine has time for. One turn is worked on at a time. A turn
whose speaker goes on is worked on for a preview alone, and only where nothing else is to do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tracker.observe.records import FailedTurn, ObservedTurn
from tracker.recognise import JudgedTurn, SilentTurn
from tracker.runtime.clock import NS_PER_MS, NS_PER_S, Clock
from tracker.runtime.edges import Edge
from tracker.turns.turn import Turn

Judgement = JudgedTurn | SilentTurn | FailedTurn

_SETTLED_NS = NS_PER_S  # a turn that goes on for so long after it seemed to end did not end there


@dataclass(frozen=True, slots=True)
class SpeculativeSteps:
    """The steps on a turn that may be the next: they learn nothing from it.

    With ``previews``, their result is shown before the turn is over.
    """

    observe: Callable[[Turn], Awaitable[ObservedTurn | FailedTurn]]
    recognise: Callable[[ObservedTurn], Awaitable[Judgement]]
    previews: bool = False


@dataclass
class SpeculationCounts:
    """How often speculation was of use.

    Attributes:
        begun: Turns that were worked on.
        hits: Those that ended as they were worked on.
        wasted: Those that went on, or ended elsewhere.
        spent_ms: Milliseconds of work, previews of turns that go on included.
        wasted_ms: Those of the wasted turns.
        left_out: Pauses at which there was no time for it.
        previews: Judgements shown before the turn was over.
    """

    begun: int = 0
    hits: int = 0
    wasted: int = 0
    spent_ms: float = 0.0
    wasted_ms: float = 0.0
    left_out: int = 0
    previews: int = 0


@dataclass
class _Job:
    turn: Turn
    ms: float | None = None
    hit: bool | None = None


class Speculation:
    """Works on the turn that paused last.

    Args:
        steps: The work.
        clock: Times it.
        has_time: Whether there is time for it; called at each pause.
        counts: Kept up to date.
        show: Shows the judgement of a turn that is not over.
    """

    def __init__(
        self,
        steps: SpeculativeSteps,
        clock: Clock,
        has_time: Callable[[], bool],
        counts: SpeculationCounts,
        show: Callable[[JudgedTurn], None],
    ) -> None:
        self._steps = steps
        self._clock = clock
        self._has_time = has_time
        self._counts = counts
        self._show = show
        self._paused: Edge[Turn] = Edge("speculation", 1, "latest")
        self._wanted: Turn | None = None
        self._goes_on = False  # the speaker of the wanted turn
        self._working = False
        self._rest_until_ns = 0  # by the clock: no turn that goes on is read before
        self._job: _Job | None = None  # the latest, unless it was for a preview alone

    def turn_paused(self, turn: Turn) -> None:
        """Speech has stopped: the turn may end so."""
        if self._has_time():
            self._want(turn)
        else:
            self._counts.left_out += 1

    def turn_goes_on(self, turn: Turn) -> None:
        """Speech goes on: show what the turn comes to so far, where there is time and no turn that may be over.

        After each such reading comes a rest as long as it took: half of the time, another turn need not wait for one.
        """
        wanted, busy = self._wanted, self._working or self._paused.depth > 0
        busy |= self._clock.now_ns() < self._rest_until_ns
        settled = wanted is None or self._goes_on or turn.end_ns - wanted.end_ns > _SETTLED_NS
        if self._steps.previews and settled and not busy and self._has_time():
            self._want(turn, goes_on=True)

    def turn_resumed(self, number: int) -> None:
        """Speech went on: begin no work on that turn. Work that has begun is of use if another speaker went on."""
        self._forget(number)

    def turn_ended(self, turn: Turn) -> None:
        """A turn is over."""
        self._forget(turn.number)
        job = self._job
        if job and job.hit is None and job.turn.number == turn.number:
            job.hit = turn.heard == job.turn.heard
            self._count(job)

    def close(self) -> None:
        """No more turns will come."""
        self._wanted = None
        self._discard()
        self._paused.close()

    async def run(self) -> None:
        """Work until closed."""
        async for turn in self._paused:
            if turn is self._wanted:
                self._discard()
                self._job = job = None if self._goes_on else _Job(turn)
                begun, self._working = self._clock.now_ns(), True
                await self._work(turn, job)
                ended, self._working = self._clock.now_ns(), False
                ms = (ended - begun) / NS_PER_MS
                self._counts.spent_ms += ms
                if job:
                    job.ms = ms
                    self._counts.begun += 1
                    self._count(job)
                else:
                    self._rest_until_ns = 2 * ended - begun

    async def _work(self, turn: Turn, job: _Job | None) -> None:
        observed = await self._steps.observe(turn)
        if isinstance(observed, FailedTurn) or self._superseded(turn, job):
            return
        judged = await self._steps.recognise(observed)
        if turn is self._wanted and self._steps.previews and isinstance(judged, JudgedTurn):
            self._counts.previews += 1
            self._show(judged)

    def _superseded(self, turn: Turn, job: _Job | None) -> bool:
        if job is None:
            return self._wanted is not turn
        return job.hit is not None or (self._wanted is not None and self._wanted is not turn)

    def _want(self, turn: Turn, goes_on: bool = False) -> None:
        self._wanted, self._goes_on = turn, goes_on
        self._paused.send_nowait(turn)

    def _forget(self, number: int) -> None:
        if self._wanted and self._wanted.number == number:
            self._wanted = None

    def _discard(self) -> None:
        """The steps remember one result only: the job before is lost."""
        if self._job and self._job.hit is None:
            self._job.hit = False
            self._count(self._job)

    def _count(self, job: _Job) -> None:
        """Count a job once both its time and its use are known."""
        if job.ms is not None and job.hit is not None:
            self._counts.hits += job.hit
            self._counts.wasted += not job.hit
            self._counts.wasted_ms += 0.0 if job.hit else job.ms
