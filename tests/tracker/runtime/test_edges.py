import anyio
import pytest

from tracker.runtime.edges import Edge, EdgeClosed

pytestmark = pytest.mark.anyio


async def test_what_goes_in_comes_out_in_order_until_closed():
    edge: Edge[int] = Edge("test", 10)
    for i in range(5):
        await edge.send(i)
    edge.close()
    edge.close()
    assert [item async for item in edge] == [0, 1, 2, 3, 4]
    with pytest.raises(EdgeClosed):
        await edge.send(5)
    assert not await edge.offer(5)


async def test_wait_holds_the_sender_until_there_is_room():
    edge: Edge[int] = Edge("test", 2)
    received: list[int] = []

    async def sender() -> None:
        for i in range(100):
            await edge.send(i)
            assert edge.depth <= 2
        edge.close()

    async with anyio.create_task_group() as group:
        group.start_soon(sender)
        with anyio.fail_after(5):
            received.extend([item async for item in edge])
    assert received == list(range(100))
    assert edge.dropped == 0


async def test_drop_oldest_keeps_the_newest_and_counts():
    edge: Edge[int] = Edge("test", 3, "drop_oldest")
    for i in range(10):
        await edge.send(i)
    edge.close()
    assert [item async for item in edge] == [7, 8, 9]
    assert edge.dropped == 7


async def test_latest_keeps_one():
    edge: Edge[int] = Edge("test", 50, "latest")
    for i in range(4):
        edge.send_nowait(i)
    assert (edge.depth, edge.dropped) == (1, 3)


async def test_a_waiting_sender_is_let_go_when_the_receiver_gives_up():
    edge: Edge[int] = Edge("test", 1)
    await edge.send(0)
    done: list[bool] = []

    async def offer() -> None:
        done.append(await edge.offer(1))

    async with anyio.create_task_group() as group:
        group.start_soon(offer)
        await anyio.wait_all_tasks_blocked()
        edge.close()
    assert done == [False]


def test_an_edge_needs_room():
    with pytest.raises(ValueError, match="capacity"):
        Edge("test", 0)


async def test_what_waits_comes_in_batches_in_order_and_makes_room():
    edge: Edge[int] = Edge("test", 5)
    for i in range(5):
        await edge.send(i)
    assert await edge.take(3) == [0, 1, 2]
    assert edge.depth == 2
    await edge.send(5)
    edge.close()
    assert await edge.take(3) == [3, 4, 5]
    assert await edge.take(3) == []
