"""Ctrl-C, SIGTERM and SIGHUP: the first one drains, the next one ends at once.

A terminal that is closed may send SIGHUP twice, from the shell and from the system, so SIGHUP only ever drains. A
program that was started with SIGHUP ignored, by nohup, goes on. The third one does what the system does with it.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from anyio.abc import TaskStatus

from tracker.runtime.control import Control

T = TypeVar("T")


async def with_signals(work: Callable[[Control], Awaitable[T]], report: Callable[[str], None]) -> T:
    """Run something that signals end early: the first one drains, the next one ends at once."""
    control = Control()
    result: list[T] = []
    failure: Exception | None = None

    async def obey(*, task_status: TaskStatus[None]) -> None:
        obeyed = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            obeyed.append(signal.SIGHUP)
        with anyio.open_signal_receiver(*obeyed) as signals:
            task_status.started()
            async for number in signals:
                if number == signal.SIGINT and not control.drained.is_set():
                    report("finishing what was heard; Ctrl-C again ends at once")
                if number != signal.SIGHUP or not control.drained.is_set():
                    control.stop()
                if control.aborted.is_set():
                    return  # what hangs nevertheless is left to the system

    async with anyio.create_task_group() as group:
        await group.start(obey, name="signals")
        try:
            result.append(await work(control))
        except Exception as error:  # kept out of the group, which would wrap it
            failure = error
        group.cancel_scope.cancel()
    if failure:
        raise failure
    return result[0]
