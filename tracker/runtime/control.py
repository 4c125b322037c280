"""What may be asked of a running session from outside: by keys, signals or commands. Asking never waits."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from tracker.runtime.edges import Edge

NAME_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Pause:
    """Hear nothing more for now."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Listen again."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Remember this moment."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class Rename:
    """Call a speaker by this name from now on."""

    speaker: str
    name: str


Request = Pause | Resume | Mark | Rename


@dataclass
class Control:
    """How a session is steered from outside, and ended: drain first, abort second.

    Attributes:
        drained: Set when nothing more shall be heard.
        aborted: Set when it shall end at once.
        requests: What else was asked, in order; for the pipeline.
    """

    drained: anyio.Event = field(default_factory=anyio.Event)
    aborted: anyio.Event = field(default_factory=anyio.Event)
    requests: Edge[Request] = field(default_factory=lambda: Edge("requests", 100, "drop_oldest"))

    def stop(self) -> None:
        """Hear nothing more and finish what was heard; asked again, finish at once."""
        (self.aborted if self.drained.is_set() else self.drained).set()

    def pause(self) -> None:
        """Close the source; the turn under way ends. Nothing happens where it is paused."""
        self.requests.send_nowait(Pause())

    def resume(self) -> None:
        """Open the source again."""
        self.requests.send_nowait(Resume())

    def mark(self, note: str = "") -> None:
        """Remember this moment."""
        self.requests.send_nowait(Mark(note))

    def rename(self, speaker: str, name: str) -> None:
        """Call a speaker by a name from now on; an empty one is not taken.

        Args:
            speaker: Its id.
            name: Cut to `NAME_LENGTH` characters.
        """
        if name := name.strip()[:NAME_LENGTH]:
            self.requests.send_nowait(Rename(speaker, name))
