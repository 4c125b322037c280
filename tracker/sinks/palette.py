"""Colours and letters. A colour only ever repeats what a word, a letter or a shape beside it says.

MELD's emotions always have the same letters, and the same colours also under other names. Other labels get what is
left, in the order of the session's labels: no two labels of a session have the same letter.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from rich.cells import cell_len

T = TypeVar("T")

SPEAKERS = ("cyan", "yellow", "magenta", "green", "bright_blue", "bright_red")
EMOTIONS = {
    "neutral": "",
    "joy": "green",
    "surprise": "yellow",
    "sadness": "blue",
    "anger": "red",
    "fear": "magenta",
    "disgust": "bright_red",
}
LETTERS = {"neutral": "n", "joy": "J", "surprise": "!", "sadness": "S", "anger": "A", "fear": "F", "disgust": "D"}
_COMMON_NAMES = {
    "happy": "joy", "joyful": "joy", "happiness": "joy", "surprised": "surprise", "sad": "sadness", "angry": "anger",
    "mad": "anger", "scared": "fear", "fearful": "fear", "disgusted": "disgust",
}  # fmt: skip
_MORE_COLOURS = ("cyan", "bright_blue", "bright_magenta", "bright_green", "bright_yellow", "bright_cyan")


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The signs of one kind of terminal."""

    full: str
    rest: str
    rule: str
    dot: str
    more: str
    wall: str
    live: str
    paused: str
    here: str
    yes: str
    no: str
    idle: str
    levels: str
    """From the lowest to the highest, an odd number of them: the middle one is zero."""


UNICODE = Glyphs("█", "░", "─", " · ", "…", "│", "●", "‖", "▶", "✓", "✗", "·", "▁▂▃▄▅▆▇")
ASCII = Glyphs("#", ".", "-", " - ", "...", "|", "*", "=", ">", "+", "x", ".", "_,-=^")


def speaker_colour(place: int) -> str:
    """The colour of the speaker at this place."""
    return SPEAKERS[place % len(SPEAKERS)]


def emotion_colour(emotion: str, labels: Sequence[str]) -> str:
    """The colour of an emotion among a session's labels; none for neutral."""
    return _colours(tuple(labels)).get(emotion, "")


def letter(emotion: str, labels: Sequence[str]) -> str:
    """The letter of an emotion among a session's labels, for the strips."""
    return _letters(tuple(labels)).get(emotion) or emotion[:1].upper() or "?"


def common_name(label: str) -> str:
    """MELD's name of an emotion that others call otherwise, such as joy for happy; else the same label."""
    name = label.lower()
    return _COMMON_NAMES.get(name, name)


def assign(labels: Sequence[str], own: Callable[[str], T | None], others: Callable[[str], Sequence[T]]) -> dict[str, T]:
    """What stands for each label: its own, or else the first of the others that is free.

    Args:
        labels: Of one session.
        own: What always stands for a label, or None.
        others: What may stand for any other label; used again where nothing is free.
    """
    found: dict[str, T] = {}
    for label in labels:
        known = own(label)
        if known is not None and known not in found.values():
            found[label] = known
    for label in labels:
        if label not in found:
            choice = others(label)
            free = [one for one in choice if one not in found.values()]
            found[label] = free[0] if free else choice[len(found) % len(choice)]
    return {label: found[label] for label in labels}


@cache
def _colours(labels: tuple[str, ...]) -> dict[str, str]:
    more = (*_MORE_COLOURS, *filter(None, EMOTIONS.values()))
    return assign(labels, lambda label: EMOTIONS.get(common_name(label)), lambda _: more)


@cache
def _letters(labels: tuple[str, ...]) -> dict[str, str]:
    def letters(label: str) -> Sequence[str]:
        own = (sign for sign in label.upper() + label.lower() if sign.isalnum() and cell_len(sign) == 1)
        return (*own, *string.ascii_uppercase, *string.digits, *string.ascii_lowercase)

    return assign(labels, lambda label: LETTERS.get(label.lower()), letters)
