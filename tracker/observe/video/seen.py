"""The records of what a turn's pictures give."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.contract import Absent, Features
from tracker.observe.video.choose import Choice


@dataclass(frozen=True, slots=True)
class Expression:
    """From a media time on, a face looked like this."""

    at_ns: int
    label: str


@dataclass(frozen=True, slots=True)
class Look:
    """How a turn's face was seen.

    Attributes:
        choice: Which face, and how sure that it is the speaker's.
        frames: Pictures that it is in.
        course: Its expression as it changed, in time order.
    """

    choice: Choice
    frames: int
    course: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a turn's pictures give: features and how they were seen, or why there are none."""

    video: Features | Absent
    look: Look | None = None
