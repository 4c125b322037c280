"""Step 4: the conversation so far, as much of it as the recogniser is given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from adapters.contract import Utterance


class Dialogue:
    """The last utterances of a session.

    Args:
        max_turns: Utterances kept.
        max_tokens: Tokens that a history may hold; older utterances go first, a whole one at a time.
        count_tokens: Length of a text in the backbone's tokens.
    """

    def __init__(self, max_turns: int, max_tokens: int, count_tokens: Callable[[str], int]) -> None:
        self._utterances: deque[tuple[Utterance, int]] = deque(maxlen=max_turns)
        self._max_tokens = max_tokens
        self._count = count_tokens

    def history(self) -> tuple[Utterance, ...]:
        """What was said before, oldest first."""
        return tuple(utterance for utterance, _ in self._utterances)

    def add(self, utterance: Utterance) -> None:
        """Remember an utterance; one without words is no context and is left out."""
        if not utterance.text or self._utterances.maxlen == 0:
            return
        self._utterances.append((utterance, self._count(f"{utterance.speaker}: {utterance.text}")))
        while sum(tokens for _, tokens in self._utterances) > self._max_tokens and len(self._utterances) > 1:
            self._utterances.popleft()
