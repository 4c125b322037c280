"""Run the observers of one turn all at once, each model in its own thread, and join what they found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from adapters.contract import Absent, Features
from adapters.features.acoustic import SpeechEncoder
from tracker.errors import sentence_of
from tracker.observe.campplus import VoiceEmbedder
from tracker.observe.observed import FailedTurn, ObservedTurn, Transcript
from tracker.observe.speakers import SpeakerBook, Vector, Voice
from tracker.observe.transcribe import Transcriber
from tracker.observe.video.look import Glimpse
from tracker.observe.video.seen import Seen
from tracker.runtime.clock import NS_PER_MS, NS_PER_S, Clock
from tracker.runtime.memo import Memo
from tracker.runtime.threads import FairLock, ModelThread, gather
from tracker.turns.turn import Turn


@dataclass(frozen=True, slots=True)
class Heard:
    """What one pass of the speech encoder gave: the words and the voice features."""

    transcript: Transcript
    audio: Features | Absent


class Listener(Protocol):
    """Hears one turn: words and voice. Runs in a thread."""

    def __call__(self, turn: Turn) -> Heard:
        """What was said and how."""


class Namer(Protocol):
    """Says whose turn it was. Runs in a thread; turns come in order."""

    def __call__(self, turn: Turn) -> str:
        """The speaker's name."""

    def guess(self, turn: Turn) -> str:
        """The name that a turn would get if it were the next; nothing is remembered."""


class Faces(Protocol):
    """Sees turns (`FaceObserver`)."""

    async def glimpses(self, turn: Turn) -> list[Glimpse]:
        """What was seen during a turn, once it has been seen to its end."""

    def see(self, turn: Turn, speaker: str, glimpses: Sequence[Glimpse]) -> Seen:
        """The speaker's face of the next turn."""

    def guess(self, turn: Turn, speaker: str, glimpses: Sequence[Glimpse]) -> Seen:
        """The same of a turn that may be the next; nothing is remembered."""

    def done(self, turn: Turn) -> None:
        """A turn is over and will not be seen again."""


See = Callable[[Turn, str, Sequence[Glimpse]], Seen]


class SpeechListener:
    """Encodes a turn once, and gives the states both to the decoder and to the features.

    Args:
        encoder: Whisper's encoder.
        transcriber: Its decoder.
        min_voice_s: Speech, in seconds, under which a voice says nothing reliable about emotion.
        no_voice: Why no voice is judged at all, or None.
    """

    def __init__(
        self, encoder: SpeechEncoder, transcriber: Transcriber, min_voice_s: float, no_voice: str | None = None
    ) -> None:
        self._encoder = encoder
        self._transcriber = transcriber
        self._min_voice_s = min_voice_s
        self._no_voice = no_voice

    def __call__(self, turn: Turn) -> Heard:
        """What was said and how."""
        encoded = self._encoder.encode(turn.samples)
        transcript = self._transcriber(turn.samples, encoded)
        if self._no_voice:
            return Heard(transcript, Absent(self._no_voice))
        if turn.voiced_ns < self._min_voice_s * NS_PER_S:
            return Heard(transcript, Absent(f"voice under {self._min_voice_s:g} s"))
        return Heard(transcript, encoded.features)


class VoiceNamer:
    """Names speakers by their voices.

    Args:
        embed: Voice to vector.
        book: The speakers of this session.
    """

    def __init__(self, embed: VoiceEmbedder, book: SpeakerBook) -> None:
        self._embed: Memo[Turn, Vector] = Memo(lambda turn: embed(turn.samples), key=lambda turn: turn.span)
        self._book = book
        self._changed = False

    def __call__(self, turn: Turn) -> str:
        """The speaker's name."""
        voice = self._voice(turn)
        self._changed = turn.ended_by == "speaker_change"
        return self._book.identify(voice)

    def guess(self, turn: Turn) -> str:
        """The name that a turn would get if it were the next."""
        return self._book.guess(self._voice(turn))

    def _voice(self, turn: Turn) -> Voice:
        return Voice(self._embed(turn), turn.duration_s, self._changed)


class ChannelNamer:
    """Names speakers by their channel, where each has one of their own."""

    def __call__(self, turn: Turn) -> str:
        """The speaker's name."""
        return f"Speaker {turn.channel + 1}"

    def guess(self, turn: Turn) -> str:
        """The same."""
        return self(turn)


class Observer:
    """Observes turns one after the other, also ahead of the end of one: then what was heard is not heard again.

    Args:
        listen: Words and voice.
        name: The speaker.
        clock: For how long things took.
        faces: The speaker's face.
        ears: Where the speech model runs; shared by the sessions that use the same one.
        voices: Where the voice embedding runs.
    """

    def __init__(
        self,
        listen: Listener,
        name: Namer,
        clock: Clock,
        faces: Faces,
        ears: FairLock | None = None,
        voices: FairLock | None = None,
    ) -> None:
        self._listen = Memo(listen, key=lambda turn: turn.span)
        self._name = name
        self._clock = clock
        self._faces = faces
        self._ears = ModelThread(clock, ears)
        self._voices = ModelThread(clock, voices)

    async def __call__(self, turn: Turn) -> ObservedTurn | FailedTurn:
        """All that can be found out about a turn; a model that fails costs this turn only."""
        try:
            return await self._observe(turn, self._name, self._faces.see)
        finally:
            self._faces.done(turn)

    async def ahead(self, turn: Turn) -> ObservedTurn | FailedTurn:
        """The same of a turn that may be the next; what is remembered of the speakers stays as it is."""
        return await self._observe(turn, self._name.guess, self._faces.guess, ahead=True)

    async def _observe(
        self, turn: Turn, name: Callable[[Turn], str], see: See, ahead: bool = False
    ) -> ObservedTurn | FailedTurn:
        begun = self._clock.now_ns()
        try:
            (heard, speaker), glimpses = await gather(
                lambda: gather(
                    lambda: self._ears.run(lambda: self._listen(turn), ahead),
                    lambda: self._voices.run(lambda: name(turn), ahead),
                ),
                lambda: self._faces.glimpses(turn),
            )
        except ExceptionGroup as failures:
            return FailedTurn(turn, sentence_of(first_of(failures)))
        seen = see(turn, speaker.result, glimpses)
        return ObservedTurn(
            turn=turn,
            speaker=speaker.result,
            transcript=heard.result.transcript,
            audio=heard.result.audio,
            video=seen.video,
            look=seen.look,
            took_ms={
                "observe": (self._clock.now_ns() - begun) / NS_PER_MS,
                "transcribe": heard.ms,
                "speaker": speaker.ms,
            },
        )


def first_of(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure itself, out of groups within groups."""
    first = failures.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first
