"""RTTM: who spoke when, for tools that score diarization (NIST, RT-09 evaluation plan, appendix A).

Ten fields between spaces; the file's name and the speaker's are one word each, so that other characters than letters,
digits, ``.``, ``-`` and ``_`` become ``_``. Emotions and words have no place in it.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from tracker.recordings.exports.conversation import Conversation, distinct

_READ_AS_NOTHING = {"na", "nan", "-nan", "null", "none"}  # by readers that use pandas, such as pyannote.database


def rttm(conversation: Conversation) -> str:
    """The whole file: a ``SPEAKER`` line per turn; channels count from 1 there."""
    file = token(PurePath(conversation.source).stem)
    names = distinct((turn.name for turn in conversation.turns), token)
    lines = []
    for turn in conversation.turns:
        start_s, lasted_s = turn.start_ms / 1000, (turn.end_ms - turn.start_ms) / 1000
        where = f"{file} {turn.event.channel + 1} {start_s:.3f} {lasted_s:.3f}"
        lines.append(f"SPEAKER {where} <NA> <NA> {names[turn.name]} <NA> <NA>\n")
    return "".join(lines)


def token(text: str) -> str:
    """Text as one word that no reader takes for something else."""
    word = re.sub(r"[^\w.-]+", "_", text).strip("_") or "unnamed"
    return f"{word}_" if word.lower() in _READ_AS_NOTHING else word
