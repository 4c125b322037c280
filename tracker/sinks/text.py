"""Events, times and foreign text as people read them.

Whatever comes from outside, such as words, names, notes and errors, passes through `printable` before it is printed;
JSON passes through `printable_json`.
"""

from __future__ import annotations

import re

from adapters.errors import without_controls
from tracker.events import SessionEnded, SessionStarted, TurnEnded, TurnSkipped


def header(event: SessionStarted) -> str:
    """The source and the purpose of a session."""
    channels = "1 channel" if event.channels == 1 else f"{event.channels} channels"
    purpose = f", purpose: {printable(event.purpose)}" if event.purpose else ""
    return f"{printable(event.source)}, {channels}{', live' if event.live else ''}{purpose}"


def outcome(event: SessionEnded) -> str:
    """How a session ended, with its counters."""
    parts = [
        f"{event.outcome} after {clock_time(event.media_ns)}",
        f"{event.turns_started} turns",
        f"{event.turns_ended} judged",
        f"{event.turns_skipped} skipped",
    ]
    parts += [f"{count} {printable(name)} dropped" for name, count in sorted(event.dropped.items())]
    return ", ".join(parts) + (f": {printable(event.error)}" if event.error else "")


def transcript(event: TurnEnded) -> str:
    """The words of a turn with the sounds beside them in brackets, or why there are none of either."""
    why = event.modalities.get("text", "used")
    sounds = ", ".join(dict.fromkeys(printable(sound.label) for sound in event.sounds))
    parts = [printable(event.text), f"({sounds})" if sounds else ""]
    return " ".join(filter(None, parts)) or f"({'no words' if why == 'used' else printable(why)})"


def skip_reason(event: TurnSkipped) -> str:
    """Why a turn was skipped."""
    reason = event.reason.replace("_", " ")
    detail = printable(event.detail)
    return f"{reason}: {detail}" if detail and detail != reason else reason


def clock_time(media_ns: int) -> str:
    """Media time as 0:07.3, or 1:02:03.4."""
    tenths = media_ns // 100_000_000
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


def printable(text: str) -> str:
    """Text in one line without control characters, which could change the terminal."""
    return without_controls(text).strip()


def printable_json(line: str) -> str:
    """A line of JSON with control characters escaped; it stands for the same values."""
    return line if line.isprintable() else "".join(map(_escaped, line))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    return re.sub("(....)", r"\\u\1", character.encode("utf-16-be", "surrogatepass").hex())
