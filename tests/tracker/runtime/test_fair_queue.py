"""Who is next at a model that sessions share."""

from collections.abc import Callable

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import FakeClock
from tracker.runtime.fair_queue import FairQueue
from tracker.runtime.threads import FairLock, ModelThread

pytestmark = pytest.mark.anyio


class Session:
    pass


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=30))
def test_everybody_is_called_once_and_in_turn(joins):
    sessions = [Session() for _ in range(4)]
    queue: FairQueue[tuple[int, bool, int]] = FairQueue()
    for number, (who, speculative) in enumerate(joins):
        queue.put(sessions[who], (who, speculative, number), speculative)
    assert len(queue) == len(joins)
    called = [queue.get() for _ in joins]
    assert queue.get() is None
    assert sorted(item[2] for item in called if item) == list(range(len(joins)))
    finals = [item for item in called if item and not item[1]]
    assert called[: len(finals)] == finals  # speculative work comes last
    for place, (who, _, number) in enumerate(finals):
        still = {other for other, _, _ in finals[place:]}
        earlier = [other for other, _, _ in finals[:place]]
        if still - {who} and earlier:  # nobody is called twice while another who waits has been called less
            assert earlier.count(who) <= min(earlier.count(other) for other in still)
        assert number == min(n for w, _, n in finals[place:] if w == who)  # each session's calls stay in order


def test_who_has_stepped_out_is_not_called():
    queue: FairQueue[str] = FairQueue()
    first, second = "first", "second"
    queue.put(Session(), first)
    queue.put(Session(), second)
    queue.remove(first)
    assert queue.get() == second


async def test_a_session_with_many_calls_holds_up_no_other():
    lock, clock, done = FairLock(), FakeClock(), []
    greedy, modest = ModelThread(clock, lock), ModelThread(clock, lock)

    async def call(thread: ModelThread, name: str) -> None:
        await thread.run(lambda: done.append(name))

    async with anyio.create_task_group() as group:
        await lock.acquire(Session(), speculative=False)  # the model is busy while they come
        for number in range(3):
            group.start_soon(call, greedy, f"greedy {number}")
        await anyio.wait_all_tasks_blocked()
        group.start_soon(call, modest, "modest")
        await anyio.wait_all_tasks_blocked()
        assert lock.waiting == 4
        lock.release()
    assert done == ["greedy 0", "modest", "greedy 1", "greedy 2"]


async def test_a_call_that_is_cancelled_while_it_waits_is_not_made_and_blocks_nobody():
    lock, clock, done = FairLock(), FakeClock(), []
    thread = ModelThread(clock, lock)
    await lock.acquire(Session(), speculative=False)

    async def call(scope: anyio.CancelScope, what: Callable[[], None]) -> None:
        with scope:
            await thread.run(what)

    dropped = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(call, dropped, lambda: done.append("dropped"))
        group.start_soon(call, anyio.CancelScope(), lambda: done.append("kept"))
        await anyio.wait_all_tasks_blocked()
        dropped.cancel()
        await anyio.wait_all_tasks_blocked()
        assert lock.waiting == 1
        lock.release()
    assert done == ["kept"]


async def test_a_call_that_is_cancelled_just_when_it_is_called_passes_on_its_place():
    lock, done = FairLock(), []
    await lock.acquire(Session(), speculative=False)

    async def call(scope: anyio.CancelScope, name: str) -> None:
        with scope:
            await ModelThread(FakeClock(), lock).run(lambda: done.append(name))

    dropped = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(call, dropped, "dropped")
        await anyio.wait_all_tasks_blocked()
        group.start_soon(call, anyio.CancelScope(), "kept")
        await anyio.wait_all_tasks_blocked()
        lock.release()
        dropped.cancel()
    assert done == ["kept"]
    assert lock.waiting == 0


async def test_a_call_that_fails_lets_the_next_one_through():
    lock, clock = FairLock(), FakeClock()

    def fail() -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        await ModelThread(clock, lock).run(fail)
    assert (await ModelThread(clock, lock).run(lambda: 1)).result == 1
