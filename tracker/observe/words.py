"""Words with their times, from a decoder's tokens and its attention to the sound; words that readings share. Pure.

Where a token was attended to tells when it was said (dynamic time warping over the cross-attention, which CTranslate2
computes); a word lasts from its first token to the next word's or mark's.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, takewhile

from tracker.observe.records import SpokenWord

FRAME_NS = 20_000_000
"""Nanoseconds of one encoder frame."""

_GAP_NS = 5 * FRAME_NS


def timed(
    words: Sequence[str],
    tokens: Sequence[int],
    probabilities: Sequence[float],
    path: Sequence[tuple[int, int]],
    end_ns: int,
) -> list[SpokenWord]:
    """The words of a text with their times; marks belong to the word before them.

    Args:
        words: The text in order, in pieces; together they are the text.
        tokens: How many tokens each piece has.
        probabilities: Of each token.
        path: Pairs of token and encoder frame, as time warping aligned them; that after the last token tells where
            the words end.
        end_ns: Where the sound ends.
    """
    first: dict[int, int] = {}  # frame at which each token begins
    for token, frame in path:
        first.setdefault(token, frame)
    total = sum(tokens)
    starts = [min(first[token] * FRAME_NS, end_ns) if token in first else end_ns for token in range(total + 1)]
    for at in range(total, 0, -1):  # words are in order, whatever the attention says
        starts[at - 1] = min(starts[at - 1], starts[at])
    spoken: list[SpokenWord] = []
    at = 0
    for piece, count in zip(words, tokens, strict=True):
        if any(map(str.isalnum, piece)) or not spoken:
            mean = sum(probabilities[at : at + count]) / max(count, 1)
            spoken.append(SpokenWord(piece, starts[at], starts[at + count], min(max(mean, 0.0), 1.0)))
        else:
            spoken[-1] = spoken[-1]._replace(text=spoken[-1].text + piece)
        at += count
    return [word._replace(text=word.text.strip()) for word in spoken]


def between(words: Sequence[SpokenWord], start_ns: int, end_ns: int) -> list[SpokenWord]:
    """The words that were said between two cuts, out of a longer sound; their times count from the first cut.

    A word across a cut belongs to the side that has most of it. One that ends before the first cut belongs behind it
    where speech goes on from it without a gap: a new voice often begins before the old one is done.

    Args:
        words: All that was heard.
        start_ns: The first cut.
        end_ns: The second one.
    """
    kept = [word for word in words if word.start_ns + word.end_ns <= 2 * end_ns]
    early = [at for at, (word, then) in enumerate(pairwise(kept)) if word.end_ns <= start_ns < then.start_ns - _GAP_NS]
    kept = kept[early[-1] + 1 :] if early else kept

    def inside(at_ns: int) -> int:
        return min(max(at_ns, start_ns), end_ns) - start_ns

    return [word._replace(start_ns=inside(word.start_ns), end_ns=inside(word.end_ns)) for word in kept]


def agreed(before: str, now: str) -> str:
    """The beginning of a text that an earlier one has, too, word for word; capitals and marks may differ."""
    words = now.split(" ")
    same = takewhile(lambda pair: bare(pair[0]) == bare(pair[1]), zip(before.split(" "), words, strict=False))
    return " ".join(words[: sum(1 for _ in same)])


def bare(word: str) -> str:
    """A word without capitals and marks."""
    return "".join(filter(str.isalnum, word.casefold()))
