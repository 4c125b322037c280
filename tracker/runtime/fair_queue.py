"""Who is next where several sessions want the same model. Pure: no clock, no waiting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Place(Generic[T]):
    who: object
    item: T
    ahead: bool
    number: int


@dataclass
class Line(Generic[T]):
    """A waiting line that is fair between those who stand in it, however often each comes.

    Next is who was called longest ago; one that never was comes before all others. Work ahead of an endpoint is called
    only when nothing else waits.
    """

    _places: list[_Place[T]] = field(default_factory=list)
    _called: WeakKeyDictionary[object, int] = field(default_factory=WeakKeyDictionary)  # forgets sessions that ended
    _count: int = 0

    def __len__(self) -> int:
        return len(self._places)

    def join(self, who: object, item: T, ahead: bool = False) -> None:
        """Stand in line.

        Args:
            who: The session.
            item: What `call` gives back.
            ahead: Whether it is work ahead of an endpoint.
        """
        self._count += 1
        self._places.append(_Place(who, item, ahead, self._count))

    def passed(self, who: object) -> None:
        """Note that somebody was let through without standing in line."""
        self._count += 1
        self._called[who] = self._count

    def call(self) -> T | None:
        """Whose turn it is; takes it out of the line. None where nobody waits."""
        if not self._places:
            return None
        first = min(self._places, key=lambda place: (place.ahead, self._called.get(place.who, 0), place.number))
        self._places.remove(first)
        self.passed(first.who)
        return first.item

    def step_out(self, item: T) -> None:
        """Wait no longer."""
        self._places = [place for place in self._places if place.item is not item]
