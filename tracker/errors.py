"""Everything that can go wrong in a way a user can mend, on one page.

TrackerError
 ├─ ConfigError       a setting is unknown or has a bad value
 ├─ ExtraMissing      a command or a setting needs packages that are not installed
 ├─ SourceError       a device, file or stream cannot be read
 │   └─ SourceLost    ... or stopped while it was being read
 ├─ AssetError        a model or sample is missing, corrupt or cannot be fetched
 ├─ SessionError      a recorded session cannot be read or written
 ├─ SinkError         an output cannot be opened, or a recording that was asked for could not be kept whole
 └─ RequestError      a request to a running session is malformed

Each message says what went wrong, with which value, and what to do. The command line prints it as one
line and exits with `exit_code`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from adapters.errors import extra_needed


class TrackerError(Exception):
    """Base of all errors that are shown to the user as one line."""

    exit_code = 1


class ConfigError(TrackerError):
    """A setting is unknown or has a bad value; the message names every such setting."""

    exit_code = 2


class ExtraMissing(TrackerError):
    """A command, a setting or a call needs packages of an extra that is not installed; the message names it."""

    exit_code = 2


class SourceError(TrackerError):
    """A microphone, file or stream cannot be opened or read."""

    exit_code = 3


class SourceLost(SourceError):
    """A source that was being read went away; what was heard until then is kept."""


class AssetError(TrackerError):
    """A model or sample is missing, has the wrong hash, or cannot be fetched."""

    exit_code = 4


class SessionError(TrackerError):
    """A recorded session cannot be read or written."""

    exit_code = 5


class SinkError(TrackerError):
    """An output cannot be opened or written, or a recording that was asked for could not be kept whole."""

    exit_code = 6


class RequestError(TrackerError):
    """A request to a running session is malformed."""


@contextmanager
def needs_extra(extra: str, what: str, instead: str = "") -> Iterator[None]:
    """Import packages of an extra inside this block.

    Args:
        extra: One of ``pyproject.toml``.
        what: Needs it: a command, a setting or a call.
        instead: What else the user can do.

    Raises:
        ExtraMissing: One is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        otherwise = f", or {instead}" if instead else ""
        raise ExtraMissing(f"{extra_needed(what, extra, error)}{otherwise}") from error


def first_of(error: Exception) -> Exception:
    """The error itself, or the first one of a group, out of nested groups."""
    return first_of(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


def sentence_of(error: BaseException) -> str:
    """One line about an error, for an event or a message; our own errors speak for themselves."""
    if isinstance(error, TrackerError):
        return " ".join(str(error).splitlines())  # a line break may come from a name in it
    first_line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
