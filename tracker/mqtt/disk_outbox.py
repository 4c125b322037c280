"""Events that wait for the broker on the disk, with the next few of them in memory."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Protocol, final

from tracker.events import Event
from tracker.mqtt.outbox import Compose
from tracker.mqtt.spool import Spool
from tracker.mqtt.topics import Message

WINDOW = 1000


class Confirmation(Protocol):
    """Tells which of the events that the broker has acknowledged need not be sent again, even after a crash."""

    def __call__(self, seq: int) -> int | None:
        """The broker has acknowledged an event; the last event confirmed, or None if there is no new one."""

    @property
    def complete(self) -> bool:
        """Whether every acknowledged event is confirmed."""


class _BrokerConfirmation:
    """Confirms what the broker has acknowledged: after a kill, at most the one inflight event is repeated."""

    complete = True

    def __call__(self, seq: int) -> int:
        return seq


BROKER_CONFIRMS = _BrokerConfirmation()


@final
class DiskOutbox:
    """Waits in a spool: nothing is dropped while its log can be written, and a later run delivers what is left.

    While the broker keeps up, events pass through memory; after a long outage, they are read back from the log.

    Args:
        spool: Its log holds every event before it is put in here.
        compose: The messages of an event.
        window: Events in memory at most.
        confirm: Which of the acknowledged events are confirmed.
    """

    kept = True
    full = False

    def __init__(
        self, spool: Spool, compose: Compose, window: int = WINDOW, confirm: Confirmation = BROKER_CONFIRMS
    ) -> None:
        self._spool = spool
        self._confirm = confirm
        self._compose = compose
        self._window = window
        self._messages: deque[Message] = deque()
        self._last = spool.confirmed
        self._again: frozenset[int] = frozenset()  # refused in an earlier run
        self._on_disk = 0
        self.dropped = 0

    @classmethod
    def of_earlier_run(
        cls, spool: Spool, compose: Compose, window: int = WINDOW, confirm: Confirmation = BROKER_CONFIRMS
    ) -> DiskOutbox:
        """What an earlier run has left, and what the broker refused then."""
        outbox = cls(spool, compose, window, confirm)
        left = [event.seq for event in spool.unread() if event.seq > spool.confirmed or event.seq in spool.refused]
        spool.rewind()
        spool.refused.intersection_update(left)
        outbox._again = frozenset(spool.refused)
        outbox._on_disk = len(left)
        return outbox

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
        """The broker has acknowledged the head."""
        self._messages.popleft()
        if message.seq is not None:
            self._spool.note_delivered(message.seq)
            self._move_on(message.seq)

    def set_aside(self, message: Message) -> None:
        """The broker refuses the head: note its event for a later run."""
        self._messages.popleft()
        if message.seq is not None:
            self._spool.note_refused(message.seq)
            self._move_on(message.seq)

    def close(self, over: bool) -> None:
        """Keep what is left for a later run, and remove the spool if nothing is."""
        self._spool.close(complete=over and not len(self) and not self._spool.refused and self._confirm.complete)

    def _move_on(self, seq: int) -> None:
        if seq not in self._again and (confirmed := self._confirm(seq)) is not None:
            self._spool.confirm(confirmed)

    def _add(self, event: Event, late: bool) -> None:
        self._last = max(self._last, event.seq)
        self._messages.extend(self._compose(event, late))

    def _refill(self) -> None:
        wanted = min(self._window, self._on_disk)
        new = (event for event in self._spool.unread() if event.seq > self._last or event.seq in self._again)
        found = list(islice(new, wanted)) if wanted else []
        if len(found) < wanted:
            self.dropped += self._on_disk - len(found)  # they were never written to the disk
            self._on_disk = len(found)
        self._on_disk -= len(found)
        for event in found:
            self._add(event, late=True)
