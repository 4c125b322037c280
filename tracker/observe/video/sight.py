"""What was seen, kept until the turn that it belongs to has been observed. In the event loop only."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import anyio

from tracker.observe.video.look import Glimpse
from tracker.runtime.clock import NS_PER_S
from tracker.turns.turn import Turn, TurnOpened

_MEMORY_NS = 60 * NS_PER_S  # longer than any turn and the silence after it
_MOST = 4500  # glimpses: a quarter of an hour at 5 a second, some megabytes for each face


class Sight:
    """Glimpses by media time.

    A recording's are waited for: its pictures follow its sound, and a turn is observed once they have got to its end.
    A camera's are waited for so long and no longer.

    Args:
        patience_s: How long a turn waits for its last pictures, seconds; None for as long as it takes.

    Attributes:
        dropped: Glimpses that made room for newer ones before their turn came.
    """

    def __init__(self, patience_s: float | None) -> None:
        self.dropped = 0
        self._patience_s = patience_s
        self._glimpses: deque[Glimpse] = deque()
        self._heard_ns = self._wanted_ns = self._seen_ns = self._keep_from_ns = -1  # seen: all before it is here
        self._open: set[int] = set()
        self._over = False
        self._changed = anyio.Event()

    def hear(self, media_ns: int) -> None:
        """So far has the sound come; pictures may follow."""
        if media_ns > self._heard_ns:
            self._heard_ns = media_ns
            self._notify()

    async def due(self, media_ns: int) -> None:
        """The next picture is of this time: wait until the sound has come so far."""
        self._saw(media_ns)
        while max(self._heard_ns, self._wanted_ns) < media_ns:
            await self._changed.wait()

    async def put(self, glimpse: Glimpse) -> None:
        """Keep a glimpse, as far as a turn may want it; waits for room where nothing may be lost."""
        while self._patience_s is None and self._full and glimpse.at_ns > self._wanted_ns:
            await self._changed.wait()
        if self._full and self._patience_s is not None:
            self._glimpses.popleft()
            self.dropped += 1
        if glimpse.at_ns >= self._keep_from_ns:
            self._glimpses.append(glimpse)
        self._saw(glimpse.at_ns + 1)

    def end(self) -> None:
        """No more will come."""
        self._over = True
        self._notify()

    def follow(self, records: Iterable[object], media_ns: int) -> None:
        """Turns begin; where none is under way, nothing that lies long before this media time is wanted."""
        self._open.update(record.number for record in records if isinstance(record, TurnOpened))
        if not self._open:
            self._forget(media_ns - _MEMORY_NS)

    def done(self, turn: Turn) -> None:
        """A turn is over and observed."""
        self._open.discard(turn.number)

    async def of(self, turn: Turn) -> list[Glimpse]:
        """What was seen during a turn."""
        self._wanted_ns = max(self._wanted_ns, turn.end_ns)
        self._forget(turn.end_ns - _MEMORY_NS)
        with anyio.move_on_after(self._patience_s):
            while self._seen_ns < turn.end_ns and not self._over:
                await self._changed.wait()
        return [glimpse for glimpse in self._glimpses if turn.start_ns <= glimpse.at_ns < turn.end_ns]

    @property
    def _full(self) -> bool:
        return len(self._glimpses) >= _MOST

    def _forget(self, before_ns: int) -> None:
        self._keep_from_ns = max(self._keep_from_ns, before_ns)
        while self._glimpses and self._glimpses[0].at_ns < self._keep_from_ns:
            self._glimpses.popleft()
        self._notify()

    def _saw(self, before_ns: int) -> None:
        self._seen_ns = max(self._seen_ns, before_ns)
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
