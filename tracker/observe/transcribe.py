"""The words of a turn: any Whisper, by default on the encoder states from which the acoustic features are made, too.

The decoder reads a short window (see `adapters.features.acoustic`). With too little room after the speech Whisper may
repeat itself. A transcript that looks like it, or that runs into the token limit, is decoded again with more room after
the speech, and then, unless that ended well, from the full 30 s window, whose result is final: people may really say
"no, no, no".

A turn that is cut where the next voice begins is heard a little beyond the cut, since Whisper guesses at half words;
the words beyond it are then left to the next turn, by the times at which they were said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import ctranslate2
import numpy as np
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens
from jaxtyping import Float32
from tokenizers import Tokenizer as FastTokenizer

from adapters.features.acoustic import RATE_HZ, Encoded, SpeechEncoder, WindowEncoder, load_whisper
from tracker.errors import AssetError, ConfigError, sentence_of
from tracker.observe.gate import Decoded, TextGate, repeats, unlooped
from tracker.observe.records import SpokenWord, Transcript
from tracker.observe.words import between, timed
from tracker.runtime.clock import samples_to_ns

AUTO = "auto"
"""The language that is told by the sound."""

_TOKENS_AT_LEAST = 12
_TOKENS_PER_S = 10.0  # fast English speech is 5 to 6 words a second, 1.3 tokens a word
_HOP = RATE_HZ // 100  # samples of a mel frame
_NOTHING = np.zeros(0, np.float32)

Samples = Float32[np.ndarray, " samples"]
Task = Literal["transcribe", "translate"]


class _Reading(NamedTuple):
    """What one pass of the decoder gave."""

    tokens: Sequence[int]
    decoded: Decoded
    output: ctranslate2.StorageView


class Transcriber:
    """Decodes turns with one loaded Whisper; use from one thread at a time.

    Args:
        folder: A Whisper in CTranslate2's format: ``tokenizer.json`` beside the weights.
        language: BCP 47 tag of the language spoken, or `AUTO`.
        gate: When words are rejected.
        shared: The encoder where it has the same weights, so that one model and one pass serve words and voice
            features; None: a model of its own is loaded.
        device: ``auto``, ``cpu`` or ``cuda``.
        beam: Hypotheses kept while decoding.
        translate: Whether words in another language than English are translated into it, too.

    Raises:
        ConfigError: The model does not know the language, or cannot tell languages.
        AssetError: The folder holds no such model.

    Attributes:
        shares: Whether turns are encoded by the shared encoder.
        fallbacks: Turns that had to be decoded again.
    """

    def __init__(
        self,
        folder: Path,
        language: str,
        gate: TextGate,
        shared: SpeechEncoder | None = None,
        device: str = "cpu",
        beam: int = 1,
        translate: bool = False,
    ) -> None:
        try:
            self._windows = shared.windows if shared else WindowEncoder(load_whisper(folder, device))
            pieces = FastTokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises nothing more precise
            raise AssetError(
                f"transcribe.model: no Whisper for CTranslate2 at {folder}: {sentence_of(error)}"
            ) from error
        self.shares = shared is not None
        self._decoder = self._windows.model
        self._language = language
        self._gate = gate
        self._beam = beam
        self._translate = translate
        multilingual, code = self._decoder.is_multilingual, code_of(language)
        if code == AUTO and not multilingual:
            raise ConfigError(f"transcribe.language: the model in {folder} cannot tell languages, name one")
        if code not in (AUTO, "en") and not (multilingual and pieces.token_to_id(f"<|{code}|>")):
            raise ConfigError(f"transcribe.language: the model in {folder} does not know {language!r}; use another one")

        @cache
        def tokenizer(code: str, task: Task) -> Tokenizer:
            given = {"task": task, "language": code} if multilingual else {"task": None, "language": None}
            return Tokenizer(pieces, multilingual, **given)

        self._tokenizer: Callable[[str, Task], Tokenizer] = tokenizer
        self._suppressed = list(get_suppressed_tokens(tokenizer("en", "transcribe"), [-1]))
        self.fallbacks = 0

    def __call__(
        self,
        samples: Samples,
        encoded: Encoded | None = None,
        around: tuple[Samples, Samples] = (_NOTHING, _NOTHING),
        choose: Callable[[Mapping[str, float]], str] | None = None,
        words: bool = False,
    ) -> Transcript:
        """The words of one turn.

        Args:
            samples: The turn's audio, 16 kHz.
            encoded: What the shared encoder gave for it.
            around: What was heard right before and right after it, where a word may reach across.
            choose: The language, from the probability of each by the sound alone, where the model can tell. Words of
                another one than `language` are not understood; the first of them is taken where it is not given.
            words: Whether their times are wanted.
        """
        before, after = around
        sound = np.concatenate([before, samples, after]) if len(before) or len(after) else samples
        alone = len(sound) == len(samples)
        output = encoded.output if encoded and self.shares and alone else self._windows.fitting(sound)
        code, odds = code_of(self._language), self._odds(output) if choose or self._language == AUTO else {}
        if odds:
            seems = choose(odds) if choose else next(iter(odds))
            if code not in (AUTO, seems):
                return Transcript("", self._language, "words not understood", odds=odds, seems=seems)
            code = seems
        language = code if self._language == AUTO else self._language
        tokenizer = self._tokenizer(code, "transcribe")
        reading = self._read(tokenizer, output, sound)
        text, reason = reading.decoded.text, self._gate.rejection(reading.decoded)
        spoken: list[SpokenWord] = []
        if not reason and (words or not alone):
            start_ns = samples_to_ns(len(before), RATE_HZ)
            end_ns = start_ns + samples_to_ns(len(samples), RATE_HZ)
            spoken = between(self._align(tokenizer, reading, len(sound)), start_ns, end_ns)
        if not reason and not alone:
            text = " ".join(word.text for word in spoken)
            reason = None if text else "no words recognised"
        if reason:
            return Transcript("", language, reason, odds=odds)
        text_en = None
        if code != "en" and self._translate:
            text_en = self._in_english(samples, output if alone else self._windows.fitting(samples), code, text)
        return Transcript(text, language, None, tuple(spoken) if words else (), text_en, odds)

    def _odds(self, output: ctranslate2.StorageView) -> dict[str, float]:
        """How probable each language is, the most probable first; empty where the model knows one alone."""
        if not self._decoder.is_multilingual:
            return {}
        return {token[2:-2]: odds for token, odds in self._decoder.detect_language(output)[0]}

    def _read(self, tokenizer: Tokenizer, output: ctranslate2.StorageView, sound: Samples) -> _Reading:
        """What the decoder makes of a sound, with as much room as it needs."""
        reading = self._decode(tokenizer, output, len(sound))
        if reading.decoded.cramped:
            self.fallbacks += 1
            reading = self._decode(tokenizer, self._windows.roomy(sound), len(sound))
        if reading.decoded.doubtful:
            reading = self._decode(tokenizer, self._windows.full(sound), len(sound))
        if not reading.decoded.complete:
            text = unlooped(reading.decoded.text, reading.decoded.seconds)
            if text != reading.decoded.text:
                decoded = replace(reading.decoded, text=text, complete=True)
                return _Reading(tokenizer.encode(f" {text}"), decoded, reading.output)
        return reading

    def _in_english(self, samples: Samples, output: ctranslate2.StorageView, code: str, text: str) -> str | None:
        """The decoder's translation, or None where it is not believed: it repeats what the text says once."""
        decoded = self._read(self._tokenizer(code, "translate"), output, samples).decoded
        believed = not self._gate.rejection(decoded) and (not repeats(decoded.text) or repeats(text))
        return decoded.text if believed else None

    def _decode(self, tokenizer: Tokenizer, output: ctranslate2.StorageView, length: int) -> _Reading:
        seconds = length / RATE_HZ
        limit = _TOKENS_AT_LEAST + math.ceil(_TOKENS_PER_S * seconds)
        result = self._decoder.generate(
            output,
            [[*tokenizer.sot_sequence, tokenizer.no_timestamps]],
            beam_size=self._beam,
            max_length=2 * limit,  # CTranslate2 lets half of it be generated
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
        )[0]
        tokens = result.sequences_ids[0]
        text = tokenizer.decode(tokens).strip()
        decoded = Decoded(text, result.no_speech_prob, result.scores[0], len(tokens) < limit, seconds)
        return _Reading(tokens, decoded, output)

    def _align(self, tokenizer: Tokenizer, reading: _Reading, length: int) -> list[SpokenWord]:
        """The words with their times; ``length`` in samples."""
        tokens = list(reading.tokens)
        aligned = self._decoder.align(reading.output, tokenizer.sot_sequence, [tokens], [length // _HOP])[0]
        pieces, parts = tokenizer.split_to_word_tokens([*tokens, tokenizer.eot])
        counts = [len(part) for part in parts[:-1]]
        return timed(pieces[:-1], counts, aligned.text_token_probs, aligned.alignments, samples_to_ns(length, RATE_HZ))


def code_of(language: str) -> str:
    """ISO 639-1 code of a BCP 47 tag."""
    return language.partition("-")[0].lower()
