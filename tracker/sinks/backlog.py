"""Events that wait for the broker on the disk, with the next few of them in memory."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Protocol, final

from tracker.events import Event
from tracker.sinks.journal import Journal
from tracker.sinks.outbox import Compose
from tracker.sinks.topics import Message

WINDOW = 1000


class Arrival(Protocol):
    """Says how far events have come once the broker has acknowledged them."""

    def __call__(self, seq: int) -> int | None:
        """An event was acknowledged; the last one that need not be sent again, or None where that is no news."""

    @property
    def complete(self) -> bool:
        """Whether that is so for all of them."""


class _WithTheBroker:
    """The broker keeps what it has acknowledged: after a kill, one event is repeated at most, the one under way."""

    complete = True

    def __call__(self, seq: int) -> int:
        return seq


WITH_THE_BROKER = _WithTheBroker()


@final
class Backlog:
    """Waits in a journal: nothing is dropped while the log can be written, and what is left is delivered later.

    While the broker keeps up, events pass through memory; when it is away for long, they are read back from the log.

    Args:
        journal: Whose log holds every event before it is put in here.
        compose: The messages of an event.
        window: Events in memory at most.
        arrival: How far events have come that the broker has acknowledged.
    """

    kept = True
    full = False

    def __init__(
        self, journal: Journal, compose: Compose, window: int = WINDOW, arrival: Arrival = WITH_THE_BROKER
    ) -> None:
        self._journal = journal
        self._arrival = arrival
        self._compose = compose
        self._window = window
        self._messages: deque[Message] = deque()
        self._last = journal.acknowledged
        self._on_disk = 0
        self.dropped = 0

    @classmethod
    def of_earlier_run(
        cls, journal: Journal, compose: Compose, window: int = WINDOW, arrival: Arrival = WITH_THE_BROKER
    ) -> Backlog:
        """What an earlier run has left."""
        backlog = cls(journal, compose, window, arrival)
        backlog._on_disk = sum(event.seq > journal.acknowledged for event in journal.unread())
        journal.rewind()
        return backlog

    @property
    def head(self) -> Message | None:
        """The next message to publish."""
        if not self._messages:
            self._refill()
        return self._messages[0] if self._messages else None

    def __len__(self) -> int:
        return len(self._messages) + self._on_disk

    def put(self, event: Event, late: bool) -> None:
        """Add an event that is in the log."""
        if self._on_disk or len(self._messages) >= self._window:
            self._on_disk += 1
        else:
            self._add(event, late)

    def acknowledge(self, message: Message) -> None:
        """The broker has a message, and with it every one before it."""
        self._messages.popleft()
        if message.seq is not None and (arrived := self._arrival(message.seq)) is not None:
            self._journal.acknowledge(arrived)

    def close(self, over: bool) -> None:
        """Keep what is left for a later run, or nothing where nothing is."""
        self._journal.close(complete=over and not len(self) and self._arrival.complete)

    def _add(self, event: Event, late: bool) -> None:
        self._last = event.seq
        self._messages.extend(self._compose(event, late))

    def _refill(self) -> None:
        wanted = min(self._window, self._on_disk)
        new = (event for event in self._journal.unread() if event.seq > self._last)
        found = list(islice(new, wanted)) if wanted else []
        if len(found) < wanted:
            self.dropped += self._on_disk - len(found)  # they never came to the disk
            self._on_disk = len(found)
        self._on_disk -= len(found)
        for event in found:
            self._add(event, late=True)
