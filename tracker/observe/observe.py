"""Run the observers of one turn at the same time, each model in its own thread, and join what they found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from adapters.contract import Absent, Features, Sound
from adapters.features.acoustic import Encoded, SpeechEncoder
from tracker.errors import first_of, sentence_of
from tracker.observe.campplus import VoiceEmbedder
from tracker.observe.languages import LanguageHabit
from tracker.observe.records import FailedTurn, ObservedTurn, Transcript
from tracker.observe.sounds import SoundFinder, believed, nothing
from tracker.observe.speakers import Merge, SpeakerRegistry, Vector, VoiceSample
from tracker.observe.transcribe import Transcriber
from tracker.observe.video.faces import FaceObserver
from tracker.observe.video.records import FrameFaces, TurnVideo
from tracker.runtime.clock import NS_PER_MS, NS_PER_S, Clock
from tracker.runtime.memo import Memo
from tracker.runtime.threads import FairLock, ModelThread, gather
from tracker.turns.turn import Turn


@dataclass(frozen=True, slots=True)
class SpeechResult:
    """The words and the voice features of a turn."""

    transcript: Transcript
    audio: Features | Absent


class SpeakerNamer(Protocol):
    """Names the speakers of turns, which come in order. Runs in a thread."""

    def __call__(self, turn: Turn) -> str:
        """The speaker's name."""

    def guess(self, turn: Turn) -> str:
        """The name that a turn would get if it were the next; nothing is learned from it."""

    def merged(self) -> Sequence[Merge]:
        """Speakers who were found to be one since the last call."""

    def person(self, speaker: str, /) -> str | None:
        """The name under which a speaker's voice is enrolled, if it is."""


class SpeechObserver:
    """Encodes a turn for the voice features, and transcribes it, of the same encoder pass where that can be.

    Args:
        encoder: Makes the voice features.
        transcriber: Hears the words.
        min_voice_s: Speech, in seconds, below which a voice says nothing reliable about emotion.
        no_voice: Why no voice is judged at all, or None.
        languages: The languages of the session; None where the declared one is taken for granted.
        words: Whether the times of words are wanted.
    """

    def __init__(
        self,
        encoder: SpeechEncoder,
        transcriber: Transcriber,
        min_voice_s: float,
        no_voice: str | None = None,
        languages: LanguageHabit | None = None,
        words: bool = False,
    ) -> None:
        self._encoder = encoder
        self._transcriber = transcriber
        self._min_voice_s = min_voice_s
        self._no_voice = no_voice
        self._choose = languages.choose if languages else None
        self._words = words

    def __call__(self, turn: Turn) -> SpeechResult:
        """The words and voice of a turn."""
        absent = self._no_voice
        if not absent and turn.voiced_ns < self._min_voice_s * NS_PER_S:
            absent = f"voice under {self._min_voice_s:g} s"
        if absent:
            return SpeechResult(self._hear(turn), Absent(absent))
        if self._transcriber.shares:
            encoded = self._encoder.encode(turn.samples)
            return SpeechResult(self._hear(turn, encoded), encoded.features)
        with ThreadPoolExecutor(1) as beside:  # two models, two cores
            voice = beside.submit(self._encoder.encode, turn.samples)
            transcript = self._hear(turn)
            return SpeechResult(transcript, voice.result().features)

    def _hear(self, turn: Turn, encoded: Encoded | None = None) -> Transcript:
        return self._transcriber(turn.samples, encoded, (turn.before, turn.after), self._choose, self._words)


class VoiceNamer:
    """Names speakers by their voices.

    Args:
        embed: Voice to vector.
        registry: The speakers of this session.
    """

    def __init__(self, embed: VoiceEmbedder, registry: SpeakerRegistry) -> None:
        self._embed: Memo[Turn, Vector] = Memo(lambda turn: embed(turn.samples), key=lambda turn: turn.span)
        self._registry = registry
        self._changed = False

    def __call__(self, turn: Turn) -> str:
        """The speaker's name."""
        voice = self._voice(turn)
        self._changed = turn.ended_by == "speaker_change"
        return self._registry.identify(voice)

    def guess(self, turn: Turn) -> str:
        """The name that a turn would get if it were the next."""
        return self._registry.guess(self._voice(turn))

    def merged(self) -> Sequence[Merge]:
        """Speakers who were found to be one since the last call."""
        merges, self._registry.merges = self._registry.merges, []
        return merges

    def person(self, speaker: str, /) -> str | None:
        """The name under which a speaker's voice is enrolled, if it is."""
        return self._registry.person(speaker)

    def _voice(self, turn: Turn) -> VoiceSample:
        return VoiceSample(self._embed(turn), turn.duration_s, self._changed, turn.overlap_ns > 0)


class ChannelNamer:
    """Names speakers by their channel, where each has one of their own."""

    def __call__(self, turn: Turn) -> str:
        """The speaker's name."""
        return f"Speaker {turn.channel + 1}"

    def guess(self, turn: Turn) -> str:
        """The same."""
        return self(turn)

    def merged(self) -> Sequence[Merge]:
        """None."""
        return ()

    def person(self, _speaker: str, /) -> str | None:
        """None."""
        return None


class TurnObserver:
    """Observes turns one after the other, and turns that may be the next; then nothing is computed twice.

    Args:
        speech: The words and voice of a turn; runs in a thread.
        speakers: Names them.
        clock: Times the models.
        faces: The speaker's face.
        speech_lock: Shared by the sessions that use the same speech model.
        speaker_lock: Shared by the sessions that use the same voice embedding.
        languages: Learns the language of each turn, where ``speech`` depends on it.
        sounds: Finds what is heard beside words.
    """

    def __init__(
        self,
        speech: Callable[[Turn], SpeechResult],
        speakers: SpeakerNamer,
        clock: Clock,
        faces: FaceObserver,
        speech_lock: FairLock | None = None,
        speaker_lock: FairLock | None = None,
        languages: LanguageHabit | None = None,
        sounds: SoundFinder = nothing,
    ) -> None:
        self._languages = languages or LanguageHabit()
        self._sounds: Memo[Turn, tuple[Sound, ...]] = Memo(
            lambda turn: tuple(sounds(turn.samples)), key=lambda turn: turn.span
        )
        self._speech = Memo(speech, key=lambda turn: (turn.heard, self._languages.state))
        self._speakers = speakers
        self._clock = clock
        self._faces = faces
        self._speech_thread = ModelThread(clock, speech_lock)
        self._speaker_thread = ModelThread(clock, speaker_lock)
        self._sound_thread = ModelThread(clock)

    async def __call__(self, turn: Turn) -> ObservedTurn | FailedTurn:
        """Observe the next turn; a model that fails costs this turn only."""
        try:
            observed = await self._observe(turn, self._speakers, self._faces.observe)
        finally:
            self._faces.done(turn)
        if isinstance(observed, FailedTurn):
            return observed
        self._languages.learn(observed.transcript.odds)
        merged = tuple(self._speakers.merged())
        for merge in merged:
            self._faces.merge(*merge)
        return replace(observed, merged=merged, person=self._speakers.person(observed.speaker))

    async def speculate(self, turn: Turn) -> ObservedTurn | FailedTurn:
        """Observe a turn that may be the next; nothing is learned about the speakers."""
        return await self._observe(turn, self._speakers.guess, self._faces.guess, speculative=True)

    async def _observe(
        self,
        turn: Turn,
        name: Callable[[Turn], str],
        choose_face: Callable[[Turn, str, Sequence[FrameFaces]], TurnVideo],
        speculative: bool = False,
    ) -> ObservedTurn | FailedTurn:
        begun = self._clock.now_ns()
        try:
            (speech, speaker), (sounds, frames) = await gather(
                lambda: gather(
                    lambda: self._speech_thread.run(lambda: self._speech(turn), speculative),
                    lambda: self._speaker_thread.run(lambda: name(turn), speculative),
                ),
                lambda: gather(
                    lambda: self._sound_thread.run(lambda: self._sounds(turn), speculative),
                    lambda: self._faces.frames(turn),
                ),
            )
        except ExceptionGroup as failures:
            return FailedTurn(turn, sentence_of(first_of(failures)))
        video = choose_face(turn, speaker.result, frames)
        return ObservedTurn(
            turn=turn,
            speaker=speaker.result,
            transcript=believed(speech.result.transcript, sounds.result, turn.duration_s),
            audio=speech.result.audio,
            video=video.features,
            face=video.face,
            took_ms={
                "observe": (self._clock.now_ns() - begun) / NS_PER_MS,
                "transcribe": speech.ms,
                "speaker": speaker.ms,
            },
            sounds=sounds.result,
        )
