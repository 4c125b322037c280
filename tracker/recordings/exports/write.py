"""From a recorded session's folder to a file of another program; blocks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import quote

from tracker.errors import ConfigError, SessionError
from tracker.recordings.exports.conversation import Conversation, conversation
from tracker.recordings.exports.eaf import eaf
from tracker.recordings.exports.emotionml import emotionml
from tracker.recordings.exports.parquet import parquet
from tracker.recordings.exports.rttm import rttm
from tracker.recordings.exports.srt import srt
from tracker.recordings.exports.table import to_csv
from tracker.recordings.exports.vtt import vtt
from tracker.recordings.format import RecordedFile, audio_file
from tracker.recordings.replay import read_session

FORMATS: dict[str, Callable[[Conversation], str | bytes]] = {
    "vtt": vtt,
    "srt": srt,
    "rttm": rttm,
    "csv": to_csv,
    "parquet": parquet,
    "emotionml": emotionml,
    "eaf": eaf,
}
_STDOUT = Path("-")


def export_session(folder: Path, kind: str | None, out: Path | None, *, bom: bool = False, guard: bool = False) -> None:
    """Write a session in another format.

    Args:
        folder: The recorded session.
        kind: One of `FORMATS`; None takes the file's extension.
        out: The file; None or ``-`` is standard output.
        bom: As `to_csv`.
        guard: As `to_csv`.

    Raises:
        ConfigError: The format is unknown, or cannot be guessed, or is no text and goes to standard output; or what
            only CSV has is asked of another one.
        SessionError: The session cannot be read, or the file cannot be written.
        TrackerError: pyarrow is missing.
        OSError: Standard output cannot be written.
    """
    to_stdout = out is None or out == _STDOUT
    if kind is None and to_stdout:
        raise ConfigError("tracker export: name a format with --format, or a file with --out")
    name = kind or (out or _STDOUT).suffix.lower().removeprefix(".")
    if name not in FORMATS:
        raise ConfigError(f"tracker export: {name!r} is no format; there are {', '.join(FORMATS)} (--format)")
    if name == "parquet" and to_stdout:
        raise ConfigError("tracker export: parquet is no text; name a file with --out")
    if (bom or guard) and name != "csv":
        raise ConfigError(f"tracker export: --bom and --guard-formulas are for csv, not {name}")
    write = partial(to_csv, bom=bom, guard=guard) if name == "csv" else FORMATS[name]
    written = write(_read(folder, Path.cwd() if out is None or to_stdout else out.parent))
    contents = written.encode() if isinstance(written, str) else written
    if out is None or to_stdout:
        sys.stdout.buffer.write(contents)
        sys.stdout.flush()
        return
    try:
        out.write_bytes(contents)
    except OSError as error:
        raise SessionError(f"{out}: cannot be written ({error.strerror})") from error


def _read(folder: Path, relative_to: Path) -> Conversation:
    session = read_session(folder)
    start = session.start
    found = {channel: folder / audio_file(channel) for channel in range(start.channels)}
    audio = {channel: _url(path, relative_to) for channel, path in found.items() if RecordedFile(path).kept}
    return conversation(session.events, start.source, start.started_at, start.labels, audio)


def _url(path: Path, relative_to: Path) -> str:
    """A file as a relative URL, so that the export may be moved together with the session, and tells no home folder."""
    try:
        way = os.path.relpath(path, relative_to)
    except ValueError:  # on another drive of Windows
        return path.resolve().as_uri()
    return "./" + quote(os.fsencode(Path(way).as_posix()))  # the bytes of its name: it need not be Unicode
