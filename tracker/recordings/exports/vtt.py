"""WebVTT, which browsers show beside audio and video (https://www.w3.org/TR/webvtt1/).

A cue per turn: the speaker as voice span, the emotion in brackets and as class, so that a page can style it
(``::cue(.joy)``). Where the times of words were kept, each word comes with its own (section 4.2.2, timestamp tag).
Cues may overlap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tracker.recordings.exports.conversation import Conversation, NamedTurn, clock

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})  # section 3.3: with them, no --> is left either


def vtt(conversation: Conversation) -> str:
    """The whole file."""
    return "".join(["WEBVTT\n", *(_cue(turn) for turn in conversation.turns)])


def _cue(turn: NamedTurn) -> str:
    times = f"{clock(turn.start_ms, '.')} --> {clock(turn.end_ms, '.')}"
    name, emotion = (part.translate(_ESCAPES) for part in (turn.name, turn.emotion))
    said = " ".join(_timed(turn)) or turn.text.translate(_ESCAPES)
    text = " ".join([*([said] if said else []), *(f"({label.translate(_ESCAPES)})" for label in turn.sounds)])
    style = re.sub(r"[^\w-]+", "_", turn.event.emotion) or "_"
    words = f" {text}" if text else ""
    return f"\nturn-{turn.event.turn}\n{times}\n<v {name}><c.{style}>[{emotion}]</c>{words}</v>\n"


def _timed(turn: NamedTurn) -> Iterator[str]:
    """The words behind their times, which must lie within the cue and grow."""
    last_ms = turn.start_ms
    for word in turn.words:
        text = word.text.translate(_ESCAPES)
        if last_ms < word.start_ms < turn.end_ms:
            last_ms = word.start_ms
            text = f"<{clock(word.start_ms, '.')}>{text}"
        yield text
