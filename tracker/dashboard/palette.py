"""Colours and signs. A colour only ever repeats what a word, a letter or a shape beside it says."""

from __future__ import annotations

from dataclasses import dataclass

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
"""One sign per emotion, for the strips; another label set gets capital initials."""


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


UNICODE = Glyphs("█", "░", "─", " · ", "…", "│", "●", "‖", "▶", "✓", "✗", "·")
ASCII = Glyphs("#", ".", "-", " - ", "...", "|", "*", "=", ">", "+", "x", ".")


def speaker_colour(place: int) -> str:
    """The colour of the speaker at this place."""
    return SPEAKERS[place % len(SPEAKERS)]


def emotion_colour(emotion: str) -> str:
    """The colour of an emotion; none for neutral and for labels that are not MELD's."""
    return EMOTIONS.get(emotion, "")


def letter(emotion: str) -> str:
    """The sign of an emotion in a strip."""
    return LETTERS.get(emotion) or emotion[:1].upper() or "?"
