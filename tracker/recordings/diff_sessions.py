"""``tracker diff``: two recorded sessions, read and compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tracker.recordings.diff import compare
from tracker.recordings.diff_text import lines, to_plain
from tracker.recordings.replay import RecordedSession, read_session
from tracker.recordings.retention import pruned_from


def differ(a: Path, b: Path, tolerance: float, as_json: bool, say: Callable[[str], None]) -> bool:
    """Say what changed from one session to another.

    Args:
        a: A recorded session's folder.
        b: Another's.
        tolerance: By how much probabilities may differ.
        as_json: Say it as one JSON object.
        say: Takes one line.

    Returns:
        Whether anything did.

    Raises:
        SessionError: One of them cannot be read.
    """
    before, after = read_session(a), read_session(b)
    wordless = [folder for folder, session in ((a, before), (b, after)) if not keeps_words(folder, session)]
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


def keeps_words(folder: Path, session: RecordedSession) -> bool:
    """Whether a session was recorded with what was said, and still has it."""
    return session.start.config.get("record", {}).get("text", True) and "text" not in pruned_from(folder)
