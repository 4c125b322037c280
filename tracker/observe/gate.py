"""What of a decoder's output is believed. Pure: text and numbers in, a text or a reason out."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from tracker.observe.words import bare

_SPOKEN_PER_S = 7.0  # words a second that nobody exceeds
_LOOPED_PER_S = 3.0  # words a second at which a cry is repeated
_GUESSED = -1.8, 0.3  # mean log probability under which, no-speech probability above which words are guesses ("So.")


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a decoder made of one turn.

    Attributes:
        text: The words.
        no_speech: Probability that nobody speaks.
        logprob: Mean log probability of a token.
        complete: Whether the text ended by itself rather than by the token limit.
        seconds: Length of what was decoded.
    """

    text: str
    no_speech: float
    logprob: float
    complete: bool
    seconds: float

    @property
    def cramped(self) -> bool:
        """Whether the decoder may have had too little room: short words then come twice."""
        return self.doubtful or twice(self.text)

    @property
    def doubtful(self) -> bool:
        """Whether the decoder may have gone round in circles."""
        return not self.complete or repeats(self.text)

    @property
    def spoken(self) -> bool:
        """Whether somebody can have said it in that time, to the end."""
        return self.complete and len(self.text.split()) <= _SPOKEN_PER_S * self.seconds


@dataclass(frozen=True, slots=True)
class TextGate:
    """When decoded words are rejected (the recipe of Radford et al. 2022, section 4.5, and guesses).

    Attributes:
        no_speech_above: Probability of the no-speech token ...
        logprob_below: ... together with a mean log probability per token under this: nobody spoke.
        compression_above: Ratio of text to its zlib-compressed length from which it repeats itself; a text that ended
            by itself, no faster than people speak, may.
    """

    no_speech_above: float = 0.6
    logprob_below: float = -1.0
    compression_above: float = 2.4

    def rejection(self, decoded: Decoded) -> str | None:
        """Why words are rejected, or None."""
        if not any(character.isalnum() for character in decoded.text):
            return "no words recognised"
        if decoded.no_speech > self.no_speech_above and decoded.logprob < self.logprob_below:
            return "no words recognised"
        logprob, no_speech = _GUESSED
        if decoded.logprob < logprob and decoded.no_speech > no_speech:
            return "words not understood"
        encoded = decoded.text.encode()
        if not decoded.spoken and len(encoded) / len(zlib.compress(encoded)) > self.compression_above:
            return "words not understood"
        return None


def repeats(text: str) -> bool:
    """Whether a text repeats four words in a row, or has one word three times in a row."""
    words = _plain(text)
    fours = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    stutters = any(a == b == c for a, b, c in zip(words, words[1:], words[2:], strict=False))
    return stutters or len(set(fours)) < len(fours)


def twice(text: str) -> bool:
    """Whether a text is the same words two times: "I see. I see."."""
    words = _plain(text)
    half, odd = divmod(len(words), 2)
    return bool(half) and not odd and words[:half] == words[half:]


def unlooped(text: str, seconds: float) -> str:
    """A text that was decoded to the token limit, cut where its end repeats itself for longer than there was time.

    Args:
        text: The words.
        seconds: Length of the sound.

    Returns:
        The text itself, where its last words are not the same one to four words three times or more.
    """
    words, plain = text.split(), _plain(text)
    loops = [(_loop(plain, length), length) for length in range(1, 5)]
    begin, length = min((one for one in loops if len(plain) - one[0] >= 3 * one[1]), default=(0, 0))
    if not length:
        return text
    rounds = max(1, int((_LOOPED_PER_S * seconds - begin) / length))
    return " ".join(words[: begin + rounds * length]).rstrip(",")


def _loop(words: Sequence[str], length: int) -> int:
    """Where the run of the same ``length`` words at the end begins; a last round may be cut short."""
    begin = len(words)
    while begin - length - 1 >= 0 and words[begin - 1] == words[begin - 1 - length]:
        begin -= 1
    return max(0, begin - length)


def _plain(text: str) -> list[str]:
    return [bare(word) for word in text.split()]
