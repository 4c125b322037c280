"""A dialogue as the LLM reads it: utterances in; token ids and the place of each turn's words out.

The dialogue is written down once, one line per turn, behind a short instruction. The LLM is causal: a turn's states do
not change with what comes after it. So training reads each dialogue in one pass for all its turns, and live use reads
the same text with the turn to classify as its last line.

Letters: ``time`` tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from adapters.contract import Utterance
from adapters.errors import AdapterError

_STRAIGHT = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "..."})


@dataclass(frozen=True, slots=True)
class PromptSpec:
    """How a dialogue is written down; stored in checkpoints.

    Attributes:
        intro: What stands before the first turn.
        max_tokens: Length of a dialogue in tokens; whole turns fall away at its start.
        max_words: Tokens of the longest turn; the end of a longer one is cut off.
    """

    intro: str
    max_tokens: int = 384
    max_words: int = 128


@dataclass(frozen=True, slots=True)
class Layout:
    """One dialogue, ready for the backbone.

    Attributes:
        ids: Its tokens.
        spans: For each turn, the first token of its words and one past the last; equal where it has no words.
    """

    ids: Int64[Tensor, " time"]
    spans: tuple[tuple[int, int], ...]


def anonymise(dialogue: Sequence[Utterance]) -> list[Utterance]:
    """The dialogue with its speakers called Speaker 1, 2 ... in the order in which they appear."""
    numbers: dict[str, int] = {}
    return [Utterance(f"Speaker {numbers.setdefault(u.speaker, len(numbers) + 1)}", u.text) for u in dialogue]


def normalise_text(text: str) -> str:
    """The text as a speech recogniser types it: straight quotes and single spaces."""
    return " ".join(text.translate(_STRAIGHT).split())


class Prompter:
    """Writes dialogues down in one backbone's tokens.

    Args:
        tokenizer: The backbone's.
        spec: How.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, spec: PromptSpec) -> None:
        self._tokenizer = tokenizer
        self._spec = spec
        self._intro = self._tokens(spec.intro)
        self._newline = self._tokens("\n")

    @classmethod
    def load(cls, source: str | Path, spec: PromptSpec) -> Prompter:
        """Load the tokenizer that belongs to a backbone.

        Raises:
            AdapterError: There is none.
        """
        try:
            return cls(AutoTokenizer.from_pretrained(source), spec)
        except (OSError, ValueError) as error:
            raise AdapterError(f"no tokenizer at {source}: {str(error).splitlines()[0]}") from error

    def count(self, text: str) -> int:
        """Length of a text in tokens."""
        return len(self._tokens(text))

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest dialogue."""
        return self._spec.max_tokens

    def line_tokens(self, utterance: Utterance) -> int:
        """Tokens that a turn takes at most, once its speaker has a number instead of a name of that length."""
        return sum(len(part) for part in self._line(utterance)) + len(self._newline)

    def intro_ids(self) -> Int64[Tensor, " time"]:
        """The tokens that every dialogue begins with."""
        return torch.tensor(self._intro, dtype=torch.int64)

    def ids(self, text: str) -> Int64[Tensor, " time"]:
        """A text's tokens as they are, with nothing added."""
        return torch.tensor(self._tokens(text))

    def layout(self, dialogue: Sequence[Utterance]) -> Layout:
        """Write a dialogue down.

        Args:
            dialogue: Its turns, oldest first; names are replaced by numbers.

        Returns:
            The end of the dialogue that fits, with spans for those turns only.
        """
        fitting = len(self._lines(dialogue, self._spec.max_tokens))
        ids = list(self._intro)
        spans: list[tuple[int, int]] = []
        for speaker, words in self._lines(dialogue[len(dialogue) - fitting :], None):
            start = len(ids) + len(speaker)
            spans.append((start, start + len(words)))
            ids += [*speaker, *words, *self._newline]
        return Layout(torch.tensor(ids), tuple(spans))

    def _lines(self, dialogue: Sequence[Utterance], max_tokens: int | None) -> list[tuple[list[int], list[int]]]:
        """Speaker and words of the last turns, as many as fit, oldest first; always at least one."""
        lines: list[tuple[list[int], list[int]]] = []
        tokens = 0
        for turn in reversed(anonymise(dialogue)):
            speaker, words = self._line(turn)
            tokens += len(speaker) + len(words) + len(self._newline)
            if lines and max_tokens is not None and tokens > max_tokens:
                break
            lines.append((speaker, words))
        return lines[::-1]

    def _line(self, turn: Utterance) -> tuple[list[int], list[int]]:
        text = normalise_text(turn.text)
        words = self._tokens(f" {text}")[: self._spec.max_words] if text else []
        return self._tokens(f"{turn.speaker}:"), words

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
