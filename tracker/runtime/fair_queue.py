"""Who is next where several sessions want the same model. Pure: no clock, no waiting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    owner: object
    item: T
    speculative: bool
    number: int


@dataclass
class FairQueue(Generic[T]):
    """A queue that is fair between the owners of its items, however many each puts in.

    Next is the owner that was served longest ago; one that never was comes before all others. Speculative items come
    after all others.
    """

    _entries: list[_Entry[T]] = field(default_factory=list)
    _served: WeakKeyDictionary[object, int] = field(default_factory=WeakKeyDictionary)  # forgets sessions that ended
    _count: int = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, owner: object, item: T, speculative: bool = False) -> None:
        """Add an item.

        Args:
            owner: The session.
            item: What `get` returns.
            speculative: Whether it is work on a turn that may not be over.
        """
        self._count += 1
        self._entries.append(_Entry(owner, item, speculative, self._count))

    def note_served(self, owner: object) -> None:
        """Count an owner as served although it did not wait."""
        self._count += 1
        self._served[owner] = self._count

    def get(self) -> T | None:
        """Take the next item out; None where the queue is empty."""
        if not self._entries:
            return None
        first = min(self._entries, key=lambda one: (one.speculative, self._served.get(one.owner, 0), one.number))
        self._entries.remove(first)
        self.note_served(first.owner)
        return first.item

    def remove(self, item: T) -> None:
        """Take an item out unserved."""
        self._entries = [entry for entry in self._entries if entry.item is not item]
