import anyio
import pytest

from tracker.runtime.broadcast import Broadcast

pytestmark = pytest.mark.anyio


async def test_all_who_wait_are_woken_and_those_who_wait_later_are_not():
    changed, woken = Broadcast(), []

    async def wait(name: str) -> None:
        await changed.wait()
        woken.append(name)

    async with anyio.create_task_group() as group:
        group.start_soon(wait, "first")
        group.start_soon(wait, "second")
        await anyio.wait_all_tasks_blocked()
        changed.notify()
        await anyio.wait_all_tasks_blocked()
        group.start_soon(wait, "late")
        await anyio.wait_all_tasks_blocked()
        assert woken == ["first", "second"]
        changed.notify()
    assert woken == ["first", "second", "late"]
