"""Which language a session is in: what a recogniser hears in each turn, and what it heard before. Pure."""

from __future__ import annotations

from collections.abc import Mapping

DECLARED = 5.0
"""Turns for which a declared language counts before anything is heard."""

_ANY = 0.05  # turns for which every language counts
_MOST = 10.0  # turns remembered: a session may change its language


class LanguageHabit:
    """The language of the next turn, with the session's habit as its prior.

    Short turns are told apart badly on their own: "no" is a word of ten languages.

    Args:
        declared: ISO 639-1 code of the language that the user says is spoken, or None.
    """

    def __init__(self, declared: str | None = None) -> None:
        self._turns = {declared: DECLARED} if declared else {}

    @property
    def state(self) -> tuple[tuple[str, float], ...]:
        """What has been learned, to compare."""
        return tuple(self._turns.items())

    def choose(self, odds: Mapping[str, float]) -> str:
        """The most probable language; nothing is learned.

        Args:
            odds: Probability of each language by the turn's sound alone; not empty.
        """
        return max(odds, key=lambda code: odds[code] * (self._turns.get(code, 0.0) + _ANY))

    def learn(self, odds: Mapping[str, float]) -> None:
        """A turn with these odds was heard; without any nothing is learned."""
        if not odds:
            return
        kept = min(1.0, _MOST / (sum(self._turns.values()) + 1))
        heard = {code: share for code, share in odds.items() if share >= 0.01}
        self._turns = {
            code: kept * (self._turns.get(code, 0.0) + heard.get(code, 0.0)) for code in {**self._turns, **heard}
        }
