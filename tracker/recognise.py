"""Step 5: an observed turn and the dialogue before it in, one judgement out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from adapters.contract import Absent, EmotionScores, Features, TurnInput, Utterance, VoiceProfile
from adapters.readout.voice_summary import remember
from tracker.clock import Clock
from tracker.dialogue import Dialogue
from tracker.errors import sentence_of
from tracker.observe.observed import FailedTurn, ObservedTurn
from tracker.threads import ModelThread


class Recogniser(Protocol):
    """The learned half, loaded (`adapters.recogniser`)."""

    def scores(self, turn: TurnInput) -> EmotionScores:
        """The emotion that a turn expressed."""


@dataclass(frozen=True, slots=True)
class JudgedTurn:
    """A turn and what was judged of it; ``recognise_ms`` is how long the judging took."""

    observed: ObservedTurn
    scores: EmotionScores
    recognise_ms: float


@dataclass(frozen=True, slots=True)
class SilentTurn:
    """A turn in which nobody said anything that could be judged."""

    observed: ObservedTurn
    detail: str


class Recognise:
    """Judges turns one after the other; keeps the dialogue, and how each speaker usually sounds.

    Args:
        recogniser: The frozen LLM and its adapter.
        dialogue: What was said so far.
        clock: For how long judging took.
    """

    def __init__(self, recogniser: Recogniser, dialogue: Dialogue, clock: Clock) -> None:
        self._recogniser = recogniser
        self._dialogue = dialogue
        self._thread = ModelThread(clock)
        self._voices: dict[str, VoiceProfile] = {}

    async def __call__(self, observed: ObservedTurn) -> JudgedTurn | SilentTurn | FailedTurn:
        """Judge the next turn; a model that fails costs this turn only."""
        transcript = observed.transcript
        if not transcript.text and isinstance(observed.audio, Absent) and isinstance(observed.video, Absent):
            return SilentTurn(observed, f"{transcript.why_empty}; {observed.audio.reason}; {observed.video.reason}")
        utterance = Utterance(observed.speaker, transcript.text)
        voice = self._voices.get(observed.speaker)
        turn = TurnInput(utterance, self._dialogue.history(), observed.audio, observed.video, voice)
        self._dialogue.add(utterance)
        try:
            judged = await self._thread.run(lambda: self._judge(turn))
        except Exception as error:
            return FailedTurn(observed.turn, sentence_of(error))
        return JudgedTurn(observed, judged.result, judged.ms)

    def _judge(self, turn: TurnInput) -> EmotionScores:
        scores = self._recogniser.scores(turn)
        if isinstance(turn.audio, Features):
            self._voices[turn.utterance.speaker] = remember(turn.voice, turn.audio)
        return scores
