"""Step 4: the conversation so far, as much of it as the recogniser is given.

The window does not slide turn by turn: whoever reads the history would have to read all of it again for every turn.
Where it is full, its older half goes at once, and between two such moments a history only grows at its end. When
that happens depends on what was said alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
        """What was said before an utterance, oldest first; nothing is remembered or forgotten."""
        return tuple(said for said, _ in self._room_for(self._count(utterance)))

    def add(self, utterance: Utterance) -> None:
        """Remember an utterance; one without words is no context and is left out."""
        if utterance.text:
            tokens = self._count(utterance)
            self._utterances = [*self._room_for(tokens), (utterance, tokens)]

    def _room_for(self, tokens: int) -> Sequence[tuple[Utterance, int]]:
        """All that is remembered, or its newer half where it is too much beside so many tokens."""
        kept = self._utterances
        if len(kept) <= self._max_turns and _tokens(kept) + tokens <= self._max_tokens:
            return kept
        turns = min(len(kept), self._max_turns // 2)
        while turns and _tokens(kept[-turns:]) > min(self._max_tokens // 2, self._max_tokens - tokens):
            turns -= 1
        return kept[len(kept) - turns :]


def _tokens(utterances: Sequence[tuple[Utterance, int]]) -> int:
    return sum(tokens for _, tokens in utterances)
