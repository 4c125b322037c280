"""SubRip subtitles, which every player takes: ``Anna [joy]: what she said``.

There is no standard, and no way to escape: players take words in angle brackets or braces for markup. So brackets of
these kinds are replaced by ones that look alike. Subtitles may overlap.
"""

from __future__ import annotations

from tracker.recordings.exports.conversation import Conversation, NamedTurn, clock

_LOOK_ALIKES = str.maketrans("<>{}", "‹›❴❵")


def srt(conversation: Conversation) -> str:
    """The whole file."""
    return "\n".join(_subtitle(number, turn) for number, turn in enumerate(conversation.turns, start=1))


def _subtitle(number: int, turn: NamedTurn) -> str:
    words = plain(f"{turn.name} [{turn.emotion}]: {turn.caption}".rstrip())
    return f"{number}\n{clock(turn.start_ms, ',')} --> {clock(turn.end_ms, ',')}\n{words}\n"


def plain(text: str) -> str:
    """Text that no player takes for markup."""
    return text.translate(_LOOK_ALIKES)
