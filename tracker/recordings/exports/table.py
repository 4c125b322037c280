"""A row per turn, with a column per emotion; and the rows as CSV (RFC 4180).

A spreadsheet may take a cell that begins with ``=`` for a formula; there, import the columns as text.
"""

from __future__ import annotations

import csv
import io
import re

from tracker.recordings.exports.conversation import Conversation, NamedTurn, distinct
from tracker.runtime.clock import NS_PER_S

FIELDS = (
    "session", "turn", "channel", "speaker", "speaker_name", "start_s", "end_s", "start_time", "end_time", "text",
    "language", "emotion", "confidence", "abstained", "abstained_reason", "sentiment", "ended_by",
)  # fmt: skip

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # not those that RFC 4180 can quote, nor tabs

Value = str | int | float | bool | None


def columns(conversation: Conversation) -> list[str]:
    """The fields, and then the emotions by their names; one that is called like a field gets a number."""
    return [*FIELDS, *_emotions(conversation).values()]


def rows(conversation: Conversation) -> list[dict[str, Value]]:
    """A row per turn.

    Seconds are media time from the session's start; a probability that a turn does not tell is None.
    """
    emotions = _emotions(conversation)
    return [
        _fields(turn) | {column: turn.event.probabilities.get(label) for label, column in emotions.items()}
        for turn in conversation.turns
    ]


def to_csv(conversation: Conversation) -> str:
    """The whole file; None is an empty cell, a control character a space, line breaks in the words are kept."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns(conversation), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({column: _cell(value) for column, value in row.items()} for row in rows(conversation))
    return out.getvalue()


def _cell(value: Value) -> Value:
    return _CONTROLS.sub(" ", value) if isinstance(value, str) else value


def _emotions(conversation: Conversation) -> dict[str, str]:
    return distinct(conversation.labels, str, taken=FIELDS)


def _fields(turn: NamedTurn) -> dict[str, Value]:
    event = turn.event
    return {
        **{name: getattr(event, name) for name in FIELDS if name not in ("speaker_name", "start_s", "end_s")},
        "speaker_name": turn.name,
        "start_s": event.start_ns / NS_PER_S,
        "end_s": event.end_ns / NS_PER_S,
    }
