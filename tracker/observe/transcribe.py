"""The words of a turn: Whisper's decoder, on the encoder states from which the acoustic features are made, too.

The decoder reads a short window (see `adapters.features.acoustic`). With too little room after the speech Whisper may
repeat itself. A transcript that looks like it, or that runs into the token limit, is decoded again with more room after
the speech, and then from the full 30 s window, whose result is final: people may really say "no, no, no".
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens
from jaxtyping import Float32
from tokenizers import Tokenizer as FastTokenizer

from adapters.features.acoustic import Encoded, SpeechEncoder
from tracker.errors import ConfigError
from tracker.observe.records import Transcript

_TOKENS_AT_LEAST = 12
_TOKENS_PER_S = 10.0  # fast English speech is 5 to 6 words a second, 1.3 tokens a word


@dataclass(frozen=True, slots=True)
class TextGate:
    """When decoded words are rejected (the recipe of Radford et al. 2022, section 4.5).

    Attributes:
        no_speech_above: Probability of the no-speech token ...
        logprob_below: ... together with a mean log probability per token under this: nobody spoke.
        compression_above: Ratio of text to its zlib-compressed length from which it repeats itself.
    """

    no_speech_above: float = 0.6
    logprob_below: float = -1.0
    compression_above: float = 2.4

    def rejection(self, text: str, no_speech: float, logprob: float) -> str | None:
        """Why a text is rejected, or None."""
        if not any(character.isalnum() for character in text):
            return "no words recognised"
        if no_speech > self.no_speech_above and logprob < self.logprob_below:
            return "no words recognised"
        encoded = text.encode()
        if len(encoded) / len(zlib.compress(encoded)) > self.compression_above:
            return "words not understood"
        return None


def repeats(text: str) -> bool:
    """Whether a text repeats four words in a row, or has one word three times in a row."""
    words = ["".join(filter(str.isalnum, word)) for word in text.lower().split()]
    fours = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    stutters = any(a == b == c for a, b, c in zip(words, words[1:], words[2:], strict=False))
    return stutters or len(set(fours)) < len(fours)


@dataclass(frozen=True, slots=True)
class _Decoded:
    text: str
    no_speech: float
    logprob: float
    complete: bool  # ended by itself rather than by the token limit

    @property
    def doubtful(self) -> bool:
        """Whether the decoder may have failed for lack of room."""
        return not self.complete or repeats(self.text)


class Transcriber:
    """Decodes turns with one loaded Whisper; use from one thread at a time.

    Args:
        folder: The asset that the encoder was loaded from: ``tokenizer.json`` beside the weights.
        encoder: The loaded model.
        language: BCP 47 tag of the language spoken.
        gate: When words are rejected.

    Raises:
        ConfigError: The model does not know the language.

    Attributes:
        fallbacks: Turns that had to be decoded again.
    """

    def __init__(self, folder: Path, encoder: SpeechEncoder, language: str, gate: TextGate) -> None:
        self._encoder = encoder
        self._decoder = _decoder(folder, encoder.model.device)
        self._language = language
        self._gate = gate
        multilingual, code = encoder.model.is_multilingual, language.partition("-")[0].lower()
        pieces = FastTokenizer.from_file(str(folder / "tokenizer.json"))
        if code != "en" and not (multilingual and pieces.token_to_id(f"<|{code}|>")):
            raise ConfigError(f"transcribe.language: the model in {folder} does not know {language!r}; use another one")
        self._tokenizer = Tokenizer(
            pieces,
            multilingual,
            task="transcribe" if multilingual else None,
            language=code if multilingual else None,
        )
        self._prompt = [*self._tokenizer.sot_sequence, self._tokenizer.no_timestamps]
        self._suppressed = list(get_suppressed_tokens(self._tokenizer, [-1]))
        self.fallbacks = 0

    def __call__(self, samples: Float32[np.ndarray, " samples"], encoded: Encoded) -> Transcript:
        """The words of one turn.

        Args:
            samples: The turn's audio, 16 kHz, for the full window where it is needed.
            encoded: The encoder's output for the short window.
        """
        limit = _TOKENS_AT_LEAST + math.ceil(_TOKENS_PER_S * len(samples) / 16_000)
        decoded = self._decode(encoded.output, limit)
        if decoded.doubtful:
            self.fallbacks += 1
            decoded = self._decode(self._encoder.encode_with_room(samples), limit)
            if decoded.doubtful:
                decoded = self._decode(self._encoder.encode_full_window(samples), limit)
        reason = self._gate.rejection(decoded.text, decoded.no_speech, decoded.logprob)
        return Transcript("" if reason else decoded.text, self._language, reason)

    def _decode(self, output: ctranslate2.StorageView, limit: int) -> _Decoded:
        result = self._decoder.generate(
            output,
            [self._prompt],
            beam_size=1,
            max_length=2 * limit,  # CTranslate2 lets half of it be generated
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
        )[0]
        tokens = result.sequences_ids[0]
        text = self._tokenizer.decode(tokens).strip()
        return _Decoded(text, result.no_speech_prob, result.scores[0], len(tokens) < limit)


def _decoder(folder: Path, device: str) -> ctranslate2.models.Whisper:
    """The same weights once more, for decoding alone; in 8 bits on a processor that supports it.

    A token costs one pass over all of the decoder's weights, so their size decides: 8 bits take less than half of
    float32's processor time, for some 40 MB more. On 100 files of RAVDESS the word error rate is 1.5 % (float32:
    1.7 %), 96 texts are the same. The encoder stays in float32, since the voice features are made of its states.
    """
    in_8_bits = device == "cpu" and "int8_float32" in ctranslate2.get_supported_compute_types(device)
    return ctranslate2.models.Whisper(
        str(folder),
        device=device,
        compute_type="int8_float32" if in_8_bits else "float32",
        intra_threads=1,  # a token is too little work to share: two threads took as long, for a third more work
    )
