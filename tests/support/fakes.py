"""Scripted stand-ins for the parts around the pipeline. Each fails loudly where it is used off its script."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import anyio
import numpy as np

from adapters.contract import MELD_LABELS, Absent, EmotionScores
from tracker.errors import SinkError, SourceError
from tracker.events import Event, Preview, Stamp
from tracker.observe.records import FailedTurn, ObservedTurn, Transcript
from tracker.observe.speakers import Merge
from tracker.pipeline import Outlets, SessionInfo, Steps
from tracker.publish import SessionHeader
from tracker.recognise import JudgedTurn, SilentTurn
from tracker.runtime.clock import NS_PER_MS
from tracker.sources.media import AudioChunk
from tracker.turns.segment import AudioSegmenter
from tracker.turns.segmenter import Limits, SpeechFrame
from tracker.turns.turn import Turn

FRAME = 320
LIMITS = Limits(window=4, needed=3, pre_roll=2, hangover=1, least_voiced=3, pause=3, silence=6, maximum=400)
STARTED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class FakeClock:
    """A clock that moves a millisecond at each look and jumps to where somebody sleeps to."""

    def __init__(self) -> None:
        self.now = 1_000_000_000

    def now_ns(self) -> int:
        self.now += NS_PER_MS
        return self.now

    async def sleep_until_ns(self, moment_ns: int) -> None:
        self.now = max(self.now, moment_ns)
        await anyio.lowlevel.checkpoint()


class FakeSource:
    """Plays a pattern of loud (``#``) and silent (``.``) 20 ms frames, one a chunk.

    After the pattern it ends, raises ``failure``, or goes on with silence for ever (``endless``).
    """

    name = "fake"
    channels = 1

    def __init__(
        self,
        pattern: str,
        failure: SourceError | None = None,
        endless: bool = False,
        live: bool = False,
        at: dict[int, Callable[[], None]] | None = None,
    ) -> None:
        self.live = live
        self.dropped = 0
        self._pattern = pattern
        self._failure = failure
        self._endless = endless
        self._at = at or {}
        self._stopped = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[AudioChunk]]:
        yield self._chunks()

    def stop(self) -> None:
        self._stopped = True

    async def _chunks(self) -> AsyncIterator[AudioChunk]:
        index = 0
        while not self._stopped and (index < len(self._pattern) or self._endless):
            if action := self._at.pop(index, None):
                action()
                await anyio.wait_all_tasks_blocked()
            loud = index < len(self._pattern) and self._pattern[index] == "#"
            yield AudioChunk(0, index * FRAME, np.full(FRAME, 0.9 if loud else 0.0, np.float32))
            index += 1
            await anyio.lowlevel.checkpoint()
        assert not self._at, f"never reached: {sorted(self._at)}"
        if self._failure:
            raise self._failure


class Collect:
    """A sink that keeps what it is given."""

    name = "collect"

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def run(self, events: AsyncIterable[Event]) -> None:
        async for event in events:
            self.events.append(event)


class CollectAll(Collect):
    """A sink that keeps previews, too."""

    def __init__(self) -> None:
        super().__init__()
        self.previews: list[Preview] = []

    async def run_previews(self, previews: AsyncIterable[Preview]) -> None:
        async for preview in previews:
            self.previews.append(preview)


class Broken:
    """A sink that fails at an event, in its own way."""

    name = "broken"

    def __init__(self, at: int, error: Exception | None = None) -> None:
        self._at = at
        self._error = error or SinkError("the disk is full")

    async def run(self, events: AsyncIterable[Event]) -> None:
        seen = 0
        async for _ in events:
            if seen == self._at:
                raise self._error
            seen += 1


def scores(label: str = "neutral") -> EmotionScores:
    rest = 0.4 / (len(MELD_LABELS) - 1)
    probabilities = tuple(0.6 if name == label else rest for name in MELD_LABELS.labels)
    return EmotionScores(MELD_LABELS, probabilities, {"text": "used", "audio": "used", "video": "no camera"})


def observed(turn: Turn, text: str = "hello", speaker: str = "Speaker 1") -> ObservedTurn:
    took = {"observe": 3.0, "transcribe": 2.0, "speaker": 1.0}
    transcript = Transcript(text, "en", None if text else "no words recognised")
    return ObservedTurn(turn, speaker, transcript, Absent("not tried"), Absent("no camera"), took)


Fate = str | Exception | Callable[[], Awaitable[None]]


class Fates:
    """What becomes of each turn: ``judged``, ``merged``, ``deaf``, ``silent``, ``failed``, an exception, or a hang."""

    def __init__(self, fates: Sequence[Fate]) -> None:
        self._fates = list(fates)

    def of(self, turn: Turn) -> Fate:
        return self._fates[turn.number - 1] if turn.number <= len(self._fates) else "judged"

    async def observe(self, turn: Turn) -> ObservedTurn | FailedTurn:
        fate = self.of(turn)
        if isinstance(fate, Exception):
            raise fate
        if callable(fate):
            await fate()
            await anyio.sleep_forever()
        if fate == "merged":
            return replace(observed(turn), merged=(Merge("Speaker 2", "Speaker 1"),))
        return FailedTurn(turn, "RuntimeError: deaf") if fate == "deaf" else observed(turn)

    async def recognise(self, seen: ObservedTurn) -> JudgedTurn | SilentTurn | FailedTurn:
        match self.of(seen.turn):
            case "silent":
                return SilentTurn(seen, "no words recognised")
            case "failed":
                return FailedTurn(seen.turn, "RuntimeError: no idea")
        return JudgedTurn(seen, scores(), 5.0)


def steps(fates: Sequence[Fate] = (), limits: Limits = LIMITS) -> Steps:
    fate = Fates(fates)

    def loud_is_voice() -> Callable[[np.ndarray], SpeechFrame]:
        return lambda samples: SpeechFrame(bool(np.mean(samples**2) > 0.1), float(np.mean(samples**2)))

    return Steps(AudioSegmenter(1, loud_is_voice, limits, None), fate.observe, fate.recognise)


def header(source: object) -> SessionHeader:
    return SessionHeader("fake", False, 1, MELD_LABELS, {"adapter": "fake"}, "emotion-tracker 0")


def stamp() -> Stamp:
    return Stamp("s-1", STARTED_AT)


INFO = SessionInfo(header, stamp)


def outlets(*sinks: object, said: list[str] | None = None) -> Outlets:
    return Outlets(sinks, None, (said if said is not None else []).append)  # type: ignore[arg-type]
