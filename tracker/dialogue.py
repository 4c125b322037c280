"""Step 4: the dialogue so far, as much of it as the recogniser reads.

The window does not slide turn by turn: the recogniser would have to read all of the history again for every turn.
When it is full, its older half is dropped at once; until then a history only grows at its end. When that happens
depends on the words alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from adapters.contract import Utterance


class Dialogue:
    """The last utterances of a session.

    Args:
        max_turns: Utterances that a history holds at most.
        max_tokens: Tokens that a history and the utterance after it may have together.
        count_tokens: Length of an utterance in the backbone's tokens.
    """

    def __init__(self, max_turns: int, max_tokens: int, count_tokens: Callable[[Utterance], int]) -> None:
        self._utterances: list[tuple[Utterance, int]] = []
        self._max_turns = max_turns
        self._max_tokens = max_tokens
        self._count = count_tokens

    def before(self, utterance: Utterance) -> tuple[Utterance, ...]:
        """The utterances before another, oldest first; the dialogue stays as it is."""
        return tuple(before for before, _ in self._room_for(self._count(utterance)))

    def add(self, utterance: Utterance) -> None:
        """Add an utterance; one without words is no context and is left out."""
        if utterance.text:
            tokens = self._count(utterance)
            self._utterances = [*self._room_for(tokens), (utterance, tokens)]

    def merge(self, speaker: str, into: str) -> None:
        """Two speakers are one: what the first has said is the second's."""
        self._utterances = [
            (replace(one, speaker=into) if one.speaker == speaker else one, tokens) for one, tokens in self._utterances
        ]

    def _room_for(self, tokens: int) -> Sequence[tuple[Utterance, int]]:
        """All utterances, or the newer half of them if they are too long beside so many tokens."""
        kept = self._utterances
        if len(kept) <= self._max_turns and _tokens(kept) + tokens <= self._max_tokens:
            return kept
        turns = min(len(kept), self._max_turns // 2)
        while turns and _tokens(kept[-turns:]) > min(self._max_tokens // 2, self._max_tokens - tokens):
            turns -= 1
        return kept[len(kept) - turns :]


def _tokens(utterances: Sequence[tuple[Utterance, int]]) -> int:
    return sum(tokens for _, tokens in utterances)
