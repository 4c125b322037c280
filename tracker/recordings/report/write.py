"""From a recorded session's folder to files that can be sent; blocks."""

from __future__ import annotations

from pathlib import Path

from tracker.errors import SessionError
from tracker.events import SessionEnded
from tracker.recordings.replay import RecordedSession, read_session
from tracker.recordings.report import plots
from tracker.recordings.report.clips import Clips
from tracker.recordings.report.page import page
from tracker.recordings.report.summary import summarise


def write_report(folder: Path, html: Path | None, png: Path | None, audio: bool = True) -> None:
    """Write a session's report.

    Args:
        folder: The recorded session.
        html: Where the page goes, or None.
        png: Where the timeline goes, or None.
        audio: Whether the page carries the audio that was kept.

    Raises:
        SessionError: The session cannot be read, or a file cannot be written.
        TrackerError: matplotlib is missing.
    """
    recorded = read_session(folder)
    if html:
        _put(html, render(recorded, folder if audio else None).encode())
    if png:
        drawn = plots.timeline(summarise(recorded.events), recorded.start.labels, ink="black")
        _put(png, plots.png(drawn))


def render(recorded: RecordedSession, audio: Path | None) -> str:
    """A session's page, with the audio in this folder if there is one."""
    last = recorded.events[-1] if recorded.events else None
    ended = last if isinstance(last, SessionEnded) else None
    clip = Clips(audio).cut if audio else (lambda channel, start_ns, end_ns: None)  # noqa: ARG005
    return page(recorded.start, ended, summarise(recorded.events), clip)


def _put(path: Path, contents: bytes) -> None:
    try:
        path.write_bytes(contents)
    except OSError as error:
        raise SessionError(f"{path}: cannot be written ({error.strerror})") from error
