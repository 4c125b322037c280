"""What a broker refuses: counted, and put into words. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import final

_SHOWN = 200  # characters of a topic
_RANGES = 8


@final
class Refusals:
    """Counts what a broker refuses.

    Attributes:
        messages: All of them.
        events: Numbers of this session's events among them, in order.
        earlier: Events of earlier runs that are still not delivered.
    """

    def __init__(self) -> None:
        self.messages = self.earlier = 0
        self.events: list[int] = []
        self._topics: set[str] = set()

    def __contains__(self, topic: str) -> bool:
        return topic in self._topics

    def first_of(self, topic: str, reason: str, seq: int | None = None) -> str | None:
        """What is refused and why, the first time for each topic.

        Args:
            topic: The topic of a message or a subscription.
            reason: Why it is refused.
            seq: Number of the event in the message.
        """
        if topic in self._topics:
            return None
        self._topics.add(topic)
        return f"{topic[:_SHOWN]} ({reason}{'' if seq is None else f', event {seq}'})"

    def summary(self, kept: bool) -> str:
        """How many messages were refused, and what becomes of the events among them.

        Args:
            kept: Whether a later run tries again.
        """
        count = f"{self.messages} message{'' if self.messages == 1 else 's'}"
        events = [f"events {_ranges(self.events)}"] if self.events else []
        events += [f"{self.earlier} of earlier runs"] if self.earlier else []
        fate = "kept for the next run or tracker sessions flush" if kept else "lost"
        return f"{count}; {fate}: {', '.join(events)}" if events else count


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as ``1-3, 5``; of very many ranges, the first ones."""
    breaks = [index for index, (one, following) in enumerate(pairwise(numbers), 1) if following != one + 1]
    parts = [numbers[begin:end] for begin, end in pairwise([0, *breaks, len(numbers)])]
    named = [f"{part[0]}-{part[-1]}" if len(part) > 1 else f"{part[0]}" for part in parts[:_RANGES]]
    return ", ".join([*named, "..."] if len(parts) > _RANGES else named)
