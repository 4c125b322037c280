"""A row per turn, with a column per emotion and per dimension of affect; and the rows as CSV (RFC 4180).

A spreadsheet takes text that begins with ``=``, ``+``, ``-`` or ``@`` for a formula; `to_csv` can guard against that
(https://owasp.org/www-community/attacks/CSV_Injection).
"""

from __future__ import annotations

import csv
import io
import re

from tracker.recordings.exports.conversation import BIDI, Conversation, NamedTurn, distinct
from tracker.runtime.clock import NS_PER_S

FIELDS = (
    "session", "turn", "channel", "speaker", "speaker_name", "start_s", "end_s", "start_time", "end_time", "text",
    "language", "sounds", "emotion", "confidence", "abstained", "abstained_reason", "sentiment", "ended_by",
)  # fmt: skip
_MADE = ("speaker_name", "start_s", "end_s", "sounds")  # of what the event holds in another form

# Not those that RFC 4180 can quote, nor tabs.
_CONTROLS = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029{BIDI}\ud800-\udfff]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # the wide ones count, too

Value = str | int | float | bool | None


def columns(conversation: Conversation) -> list[str]:
    """The fields, then emotions and dimensions by their names; one that is called like another gets a number."""
    return [*FIELDS, *_emotions(conversation).values(), *_dimensions(conversation).values()]


def rows(conversation: Conversation) -> list[dict[str, Value]]:
    """A row per turn.

    Seconds are media time from the session's start; a probability that a turn does not tell is None, and so is a place
    in a dimension.
    """
    emotions, dimensions = _emotions(conversation), _dimensions(conversation)

    def place(turn: NamedTurn, name: str) -> float | None:
        found = (turn.event.dimensions or {}).get(name)
        return found.value if found else None

    return [
        _fields(turn)
        | {column: turn.event.probabilities.get(label) for label, column in emotions.items()}
        | {column: place(turn, name) for name, column in dimensions.items()}
        for turn in conversation.turns
    ]


def to_csv(conversation: Conversation, *, bom: bool = False, guard: bool = False) -> str:
    """The whole file; None is an empty cell, a control character a space, line breaks in the words are kept.

    Args:
        conversation: The turns.
        bom: Begin with a byte order mark, without which Excel does not read UTF-8.
        guard: Put an apostrophe before text that a spreadsheet would take for a formula.
    """

    def cell(value: Value) -> Value:
        if not isinstance(value, str):
            return value
        text = _CONTROLS.sub(" ", value)
        return f"'{text}" if guard and text.startswith(_FORMULA) else text

    out = io.StringIO("\ufeff" if bom else "", newline="")
    out.seek(0, io.SEEK_END)
    writer, names = csv.writer(out, lineterminator="\r\n"), columns(conversation)
    writer.writerow(map(cell, names))
    writer.writerows([cell(row[name]) for name in names] for row in rows(conversation))
    return out.getvalue()


def _emotions(conversation: Conversation) -> dict[str, str]:
    return distinct(conversation.labels, lambda label: _CONTROLS.sub(" ", label), taken=FIELDS)


def _dimensions(conversation: Conversation) -> dict[str, str]:
    taken = [*FIELDS, *_emotions(conversation).values()]
    return distinct(conversation.dimensions, lambda name: _CONTROLS.sub(" ", name), taken=taken)


def _fields(turn: NamedTurn) -> dict[str, Value]:
    event = turn.event
    return {
        **{name: getattr(event, name) for name in FIELDS if name not in _MADE},
        "speaker_name": turn.name,
        "start_s": event.start_ns / NS_PER_S,
        "end_s": event.end_ns / NS_PER_S,
        "sounds": ", ".join(turn.sounds),
    }
