"""Waking every task that waits for a change."""

from __future__ import annotations

import anyio


class Broadcast:
    """Wakes all tasks that wait; a task that begins to wait afterwards waits for the next notification.

    Check a condition and wait in a loop, with no other ``await`` in between: then no notification is missed.
    """

    def __init__(self) -> None:
        self._event = anyio.Event()

    def notify(self) -> None:
        """Wake everyone who waits now."""
        self._event.set()
        self._event = anyio.Event()

    async def wait(self) -> None:
        """Wait for the next notification."""
        await self._event.wait()
