"""Step 5: an observed turn and the dialogue before it in, one judgement out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from adapters.contract import Absent, EmotionScores, Features, TurnInput, Utterance, VoiceProfile
from adapters.prefix import Reading
from adapters.readout.voice_summary import remember
from tracker.dialogue import Dialogue
from tracker.errors import sentence_of
from tracker.observe.records import FailedTurn, ObservedTurn
from tracker.runtime.clock import Clock
from tracker.runtime.memo import Memo
from tracker.runtime.threads import FairLock, ModelThread
from tracker.turns.turn import Turn


class Recogniser(Protocol):
    """The learned half, loaded (`adapters.recogniser`)."""

    def follow(self, turn: TurnInput, reading: Reading | None) -> tuple[EmotionScores, Reading | None]:
        """The emotion that a turn expressed, and how far its dialogue was read by then."""


@dataclass(frozen=True, slots=True)
class JudgedTurn:
    """A turn and what was judged of it; ``recognise_ms`` is how long the judging took."""

    observed: ObservedTurn
    scores: EmotionScores
    recognise_ms: float

    @property
    def turn(self) -> Turn:
        """The turn itself."""
        return self.observed.turn


@dataclass(frozen=True, slots=True)
class SilentTurn:
    """A turn in which nobody said anything that could be judged."""

    observed: ObservedTurn
    detail: str

    @property
    def turn(self) -> Turn:
        """The turn itself."""
        return self.observed.turn


_Asked = tuple[TurnInput, Reading | None]


class Recognise:
    """Judges turns one after the other; keeps the dialogue, and how each speaker usually sounds.

    Args:
        recogniser: The frozen LLM and its adapter.
        dialogue: What was said so far.
        clock: For how long judging took.
        opening: The reading that the dialogue begins with.
        reader: Shared by the sessions that use the same LLM.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        dialogue: Dialogue,
        clock: Clock,
        opening: Reading | None = None,
        reader: FairLock | None = None,
    ) -> None:
        self._judge: Memo[_Asked, tuple[EmotionScores, Reading | None]] = Memo(
            lambda asked: recogniser.follow(*asked), key=lambda asked: asked
        )
        self._dialogue = dialogue
        self._thread = ModelThread(clock, reader)
        self._reading = opening
        self._voices: dict[str, VoiceProfile] = {}

    async def __call__(self, observed: ObservedTurn) -> JudgedTurn | SilentTurn | FailedTurn:
        """Judge the next turn; a model that fails costs this turn only."""
        judged = await self._judged(observed)
        if isinstance(judged, SilentTurn):
            return judged
        self._dialogue.add(_utterance(observed))
        if isinstance(judged, FailedTurn):
            return judged
        result, self._reading = judged
        if isinstance(observed.audio, Features):
            voice = self._voices.get(observed.speaker)
            self._voices[observed.speaker] = remember(voice, observed.audio)
        return result

    async def speculate(self, observed: ObservedTurn) -> JudgedTurn | SilentTurn | FailedTurn:
        """Judge a turn that may be the next; nothing is learned from it."""
        judged = await self._judged(observed, speculative=True)
        return judged[0] if isinstance(judged, tuple) else judged

    async def _judged(
        self, observed: ObservedTurn, speculative: bool = False
    ) -> tuple[JudgedTurn, Reading | None] | SilentTurn | FailedTurn:
        transcript = observed.transcript
        if not transcript.text and isinstance(observed.audio, Absent) and isinstance(observed.video, Absent):
            return SilentTurn(observed, f"{transcript.why_empty}; {observed.audio.reason}; {observed.video.reason}")
        utterance = _utterance(observed)
        voice = self._voices.get(observed.speaker)
        asked = TurnInput(utterance, self._dialogue.before(utterance), observed.audio, observed.video, voice)
        reading = self._reading
        try:
            judged = await self._thread.run(lambda: self._judge((asked, reading)), speculative)
        except Exception as error:
            return FailedTurn(observed.turn, sentence_of(error))
        scores, reading = judged.result
        return JudgedTurn(observed, scores, judged.ms), reading


def _utterance(observed: ObservedTurn) -> Utterance:
    return Utterance(observed.speaker, observed.transcript.text)
