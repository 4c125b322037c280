"""``tracker diff``: what changed between two recorded sessions, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tracker.events import TurnEnded, TurnStarted
from tracker.recordings.diff import Difference, Field, TurnChange, TurnEvent, compare
from tracker.recordings.replay import RecordedSession, read_session
from tracker.recordings.retention import pruned_kinds
from tracker.runtime.clock import NS_PER_S


def print_diff(a: Path, b: Path, tolerance: float, as_json: bool, say: Callable[[str], None]) -> bool:
    """Print what changed from one session to another.

    Args:
        a: A recorded session's folder.
        b: Another's.
        tolerance: By how much probabilities may differ.
        as_json: Print one JSON object.
        say: Prints one line.

    Returns:
        Whether anything changed.

    Raises:
        SessionError: One of them cannot be read.
    """
    before, after = read_session(a), read_session(b)
    wordless = [folder for folder, session in ((a, before), (b, after)) if not _has_words(folder, session)]
    found = compare(before.events, after.events, words=not wordless, tolerance=tolerance)
    if as_json:
        say(json.dumps({"changed": bool(found), "words_compared": not wordless, **to_plain(found)}, indent=2))
        return bool(found)
    for folder in wordless:
        say(f"{folder} holds no words: what was said is not compared")
    for line in lines(found):
        say(line)
    if not found:
        say("nothing changed")
    return bool(found)


def _has_words(folder: Path, session: RecordedSession) -> bool:
    return session.start.setting("record", "text", True) and "text" not in pruned_kinds(folder)


def lines(difference: Difference) -> Iterator[str]:
    """What changed, by time, one line each."""
    for field in difference.session:
        yield f"session: {_field(field)}"
    for change in difference.turns:
        yield _turn(change)
    for remark in difference.remarks:
        rest = ", ".join(f"{name} {value!r}" for name, value in remark.event.items() if name not in ("type", "at_ns"))
        kind, at_s = remark.event["type"], remark.event["at_ns"] / NS_PER_S
        yield f"{at_s:.1f} s: {kind}{f' ({rest})' if rest else ''}: only in {remark.only_in.upper()}"


def to_plain(difference: Difference) -> dict[str, Any]:
    """The same as values for JSON."""
    return {
        "session": [asdict(field) for field in difference.session],
        "turns": [_plain(change) for change in difference.turns],
        "remarks": [asdict(remark) for remark in difference.remarks],
    }


def _plain(change: TurnChange) -> dict[str, Any]:
    turn = change.a or change.b
    assert turn
    return {
        "start_ns": turn.start_ns,
        "channel": turn.channel,
        "turn": {"a": change.a and change.a.turn, "b": change.b and change.b.turn},
        "fields": [asdict(field) for field in change.fields],
    }


def _turn(change: TurnChange) -> str:
    if change.a and change.b:
        return f"{_place(change.a)}: {'; '.join(map(_field, change.fields))}"
    turn, where = (change.a, "A") if change.a else (change.b, "B")
    assert turn
    return f"{_place(turn)}: only in {where}: {_summary(turn)}"


def _place(turn: TurnEvent) -> str:
    end = "..." if isinstance(turn, TurnStarted) else f"{turn.end_ns / NS_PER_S:.1f}"
    who = f" {turn.speaker}" if isinstance(turn, TurnEnded) else ""
    return f"{turn.start_ns / NS_PER_S:.1f}-{end} s{who}"


def _summary(turn: TurnEvent) -> str:
    match turn:
        case TurnEnded():
            return f"{turn.emotion} {turn.confidence:.2f} {turn.text!r}"
        case TurnStarted():
            return "not finished"
    return f"skipped, {turn.reason}: {turn.detail}"


def _field(field: Field) -> str:
    """``name: before -> after``; of a mapping, the entries that differ."""
    if isinstance(field.a, dict) and isinstance(field.b, dict):
        names = [name for name in field.a | field.b if field.a.get(name) != field.b.get(name)]
        return ", ".join(_change(f"{field.name}.{name}", field.a.get(name), field.b.get(name)) for name in names)
    if field.name.endswith("_ns") and isinstance(field.a, int) and isinstance(field.b, int):
        return f"{field.name.removesuffix('_ns')}: {field.a / NS_PER_S:.3f} s -> {field.b / NS_PER_S:.3f} s"
    return _change(field.name, field.a, field.b)


def _change(name: str, a: object, b: object) -> str:
    if isinstance(a, float) and isinstance(b, float):
        short = f"{a:.3f}", f"{b:.3f}"
        return f"{name}: {short[0]} -> {short[1]}" if short[0] != short[1] else f"{name}: {a!r} -> {b!r}"
    return f"{name}: {a!r} -> {b!r}"
