"""Running sinks beside each other, each on its own edge, and giving up on those that do not finish."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from tracker.errors import SinkError, first_of, sentence_of
from tracker.runtime.edges import Edge

MAY_TAKE_S = 10.0
"""Seconds that a sink has, once the last event is out, to deliver what it holds."""

T = TypeVar("T")


async def deliver(
    name: str, run: Callable[[Edge[T]], Awaitable[None]], items: Edge[T], report: Callable[[str], None]
) -> None:
    """Run one sink; its failure is said and otherwise its own business.

    Args:
        name: What to call it to the user.
        run: The sink.
        items: Its edge, closed when the sink has ended, however that came.
        report: Says one sentence to the user.
    """
    try:
        await run(items)
    except Exception as error:
        first = first_of(error)
        failed = "" if isinstance(first, SinkError) else " failed and is left out"
        report(f"{name}{failed}: {sentence_of(first)}")
    except anyio.get_cancelled_exc_class():
        report(f"{name}: not finished in time, given up")
        raise
    finally:
        items.close()
