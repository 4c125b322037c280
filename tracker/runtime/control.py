"""What users may request of a running session by keys, signals, MQTT commands or calls. Requesting never waits."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

import anyio
from pydantic import TypeAdapter, ValidationError

from adapters.errors import without_controls
from tracker.errors import RequestError
from tracker.runtime.edges import Edge

MAX_NAME_LENGTH = 80
"""Characters of a speaker's id or name."""
MAX_NOTE_LENGTH = 200
"""Characters of a mark's note."""

RequestName = Literal["pause", "resume", "stop", "mark", "rename"]
REQUEST_NAMES: tuple[RequestName, ...] = get_args(RequestName)


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop listening until `Resume`; the turn under way ends. No effect while paused."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Listen again. No effect unless paused."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop listening and finish what was heard; the second time, end at once."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Mark the current moment.

    Attributes:
        note: What to remember it by; may be empty. Stripped, and unprintable characters become spaces.

    Raises:
        RequestError: The note is too long.
    """

    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "note", _clean("note", self.note, MAX_NOTE_LENGTH))


@dataclass(frozen=True, slots=True)
class Rename:
    """Call a speaker by a name from now on.

    Attributes:
        speaker: The speaker's id, as in `turn.ended`.
        name: Stripped, and unprintable characters become spaces.

    Raises:
        RequestError: The id or the name is empty or too long.
    """

    speaker: str
    name: str

    def __post_init__(self) -> None:
        for what in ("speaker", "name"):
            object.__setattr__(self, what, _clean(what, getattr(self, what), MAX_NAME_LENGTH))
            if not getattr(self, what):
                raise RequestError(f"the {what} must not be empty")


Request = Pause | Resume | Stop | Mark | Rename
_RENAME = TypeAdapter(Rename)


def _clean(what: str, text: str, limit: int) -> str:
    text = without_controls(text).strip()
    if len(text) > limit:
        raise RequestError(f"the {what} must not exceed {limit} characters; it has {len(text)}")
    return text


def decode(name: str, payload: bytes) -> Request:
    """The request in a message.

    Args:
        name: One of `REQUEST_NAMES`.
        payload: ``mark``: the note as UTF-8 text; ``rename``: JSON with ``speaker`` and ``name``; else ignored.

    Raises:
        RequestError: There is no such request, or its payload is malformed.
    """
    match name:
        case "pause":
            return Pause()
        case "resume":
            return Resume()
        case "stop":
            return Stop()
        case "mark":
            try:
                return Mark(payload.decode())
            except UnicodeDecodeError:
                raise RequestError("the note must be UTF-8 text") from None
        case "rename":
            try:
                return _RENAME.validate_json(payload)
            except ValidationError:
                raise RequestError('the payload must be JSON: {"speaker": "Speaker 1", "name": "Ada"}') from None
    raise RequestError(f"{name!r} is not a request; expected one of {', '.join(REQUEST_NAMES)}")


def encode(request: Request) -> tuple[RequestName, str]:
    """A request as a name and a payload, such that `decode` gives it back."""
    match request:
        case Pause():
            return "pause", ""
        case Resume():
            return "resume", ""
        case Stop():
            return "stop", ""
        case Mark(note):
            return "mark", note
        case Rename():
            return "rename", json.dumps(asdict(request))


@dataclass
class Control:
    """Steers a session from outside, and ends it: drain first, abort second.

    Attributes:
        drained: Set once the session shall listen no more, but finish what was heard.
        aborted: Set once it shall end at once.
        requests: The other requests in order, for the pipeline.
    """

    drained: anyio.Event = field(default_factory=anyio.Event)
    aborted: anyio.Event = field(default_factory=anyio.Event)
    requests: Edge[Request] = field(default_factory=lambda: Edge("requests", 100, "drop_oldest"))

    def request(self, request: Request) -> None:
        """Request something of the session."""
        if isinstance(request, Stop):
            self.stop()
        else:
            self.requests.send_nowait(request)

    def stop(self) -> None:
        """Finish what was heard; called again, end at once."""
        (self.aborted if self.drained.is_set() else self.drained).set()
