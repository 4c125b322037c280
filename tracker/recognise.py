"""Step 5: an observed turn and the dialogue before it in, one judgement out."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.contract import (
    EMOTIONAL,
    MODALITIES,
    Absent,
    DialogueModel,
    DialogueState,
    EmotionScores,
    LabelSet,
    TurnInput,
    Utterance,
)
from tracker.dialogue import Dialogue
from tracker.errors import sentence_of
from tracker.observe.records import FailedTurn, ObservedTurn
from tracker.runtime.clock import Clock
from tracker.runtime.memo import Memo
from tracker.runtime.threads import FairLock, ModelThread
from tracker.turns.turn import Turn


@dataclass(frozen=True, slots=True)
class JudgedTurn:
    """A turn and its scores; ``recognise_ms`` is how long the recogniser took."""

    observed: ObservedTurn
    scores: EmotionScores
    recognise_ms: float

    @property
    def turn(self) -> Turn:
        """The turn itself."""
        return self.observed.turn


@dataclass(frozen=True, slots=True)
class SilentTurn:
    """A turn without words, voice or face to judge."""

    observed: ObservedTurn
    detail: str

    @property
    def turn(self) -> Turn:
        """The turn itself."""
        return self.observed.turn


_Input = tuple[TurnInput, DialogueState]


class Recognise:
    """Judges turns one after the other; keeps the dialogue and the recogniser's state of it.

    Args:
        recogniser: The frozen LLM and its adapter.
        dialogue: The utterances so far.
        clock: Measures how long the recogniser takes.
        llm_lock: Shared by the sessions that use the same LLM.
    """

    def __init__(
        self,
        recogniser: DialogueModel,
        dialogue: Dialogue,
        clock: Clock,
        llm_lock: FairLock | None = None,
    ) -> None:
        self._follow: Memo[_Input, tuple[EmotionScores, DialogueState]] = Memo(
            lambda given: publishable(recogniser.follow(*given), recogniser.labels), key=lambda given: given
        )
        self._dialogue = dialogue
        self._thread = ModelThread(clock, llm_lock)
        self._state = recogniser.start()

    async def __call__(self, observed: ObservedTurn) -> JudgedTurn | SilentTurn | FailedTurn:
        """Judge the next turn; a model that fails costs this turn only."""
        for merge in observed.merged:
            self._dialogue.merge(*merge)
        judged = await self._judged(observed)
        if isinstance(judged, SilentTurn):
            return judged
        self._dialogue.add(_utterance(observed))
        if isinstance(judged, FailedTurn):
            return judged
        result, self._state = judged
        return result

    async def speculate(self, observed: ObservedTurn) -> JudgedTurn | SilentTurn | FailedTurn:
        """Judge a turn that may be the next; the dialogue stays as it is."""
        judged = await self._judged(observed, speculative=True)
        return judged[0] if isinstance(judged, tuple) else judged

    async def _judged(
        self, observed: ObservedTurn, speculative: bool = False
    ) -> tuple[JudgedTurn, DialogueState] | SilentTurn | FailedTurn:
        transcript = observed.transcript
        audio, video = observed.audio, observed.video
        told = transcript.text or any(sound.label in EMOTIONAL for sound in observed.sounds)
        if not told and isinstance(audio, Absent) and isinstance(video, Absent):
            return SilentTurn(observed, f"{transcript.why_empty}; {audio.reason}; {video.reason}")
        utterance = _utterance(observed)
        turn = TurnInput(utterance, self._dialogue.before(utterance), audio, video, observed.sounds)
        state = self._state
        try:
            judged = await self._thread.run(lambda: self._follow((turn, state)), speculative)
        except Exception as error:
            return FailedTurn(observed.turn, sentence_of(error), observed.merged)
        scores, state = judged.result
        return JudgedTurn(observed, scores, judged.ms), state


def publishable(judged: tuple[EmotionScores, DialogueState], labels: LabelSet) -> tuple[EmotionScores, DialogueState]:
    """What a recogniser, of whatever package, returned.

    Raises:
        TypeError: It is something else than scores and a state.
        ValueError: The scores are of other labels, or say nothing about a modality.
    """
    scores, state = judged
    if not isinstance(scores, EmotionScores) or not isinstance(labels, LabelSet):
        raise TypeError(f"scores are {type(scores).__name__} of {type(labels).__name__}, not EmotionScores of LabelSet")
    if scores.labels != labels:
        raise ValueError(f"scores are of {', '.join(scores.labels.labels)}, not of {', '.join(labels.labels)}")
    if missing := [modality for modality in MODALITIES if modality not in scores.modalities]:
        raise ValueError(f"scores do not say whether {', '.join(missing)} was used")
    return scores, state


def _utterance(observed: ObservedTurn) -> Utterance:
    return Utterance(observed.speaker, observed.transcript.readable)
