"""One shard: two owners, records that were lost on their way, records of another assignment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from parallelm.stream_processors.runtime.chunks import Chunk
from parallelm.stream_processors.runtime.transactions import FencedError
from tests.waiting import Deadline

from .shards import PARTITION, World, gone, history, hurried, open_shard, work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True, scope="module")
def _hurried() -> Iterator[None]:
    with hurried():
        yield


def test_a_shard_with_two_owners_gives_up():
    world = World(history(1))

    async def fought_over() -> None:
        def until() -> bool:
            world.epoch += 1
            return False

        await work(world, lambda number: number - 1, until=until)

    with pytest.raises(FencedError, match="opened by another worker"):
        asyncio.run(fought_over())


def test_records_that_never_reached_a_shard_are_read_again_before_it_goes_on():
    world = World(history(1))
    (announcement,) = world.topics["models"]
    asked: list[tuple[str, int]] = []

    async def take() -> None:
        shard = open_shard(
            world, owner=0, read_again=lambda topic, _partition, offset: asked.append((topic, offset))
        )
        task = asyncio.create_task(shard.run())
        await shard.is_open.wait()
        # 0 was lost: what lies behind it has to wait, whether it comes in the same batch or in a later one.
        await shard.put(Chunk("models", PARTITION, 0, 1, 2, 3, ()))
        await shard.put(Chunk("models", PARTITION, 0, 2, 3, 3, ()))
        await until(lambda: len(asked) > 0)
        assert world.offsets.get("models", 0) == 0
        await shard.put(Chunk("models", PARTITION, 0, 2, 3, 3, ()))
        await until(lambda: len(asked) > 1)
        assert set(asked) == {("models", 0)}
        # Reading was sent back.
        await shard.put(Chunk("models", PARTITION, 0, None, 2, 3, [announcement]))
        await shard.put(Chunk("models", PARTITION, 0, 2, 3, 3, ()))
        await until(lambda: world.offsets.get("models") == 3)
        await gone(task)

    asyncio.run(take())
    assert len(asked) == 2


async def until(condition: Callable[[], bool]) -> None:
    deadline = Deadline()
    while not condition():
        deadline.check()
        await asyncio.sleep(0)


def test_records_of_another_assignment_are_left_to_their_owner():
    world = World(history(1))

    async def stale() -> None:
        shard = open_shard(world, owner=0)
        task = asyncio.create_task(shard.run())
        await shard.is_open.wait()
        await shard.put(Chunk("models", PARTITION, 99, None, 1, 1, world.topics["models"]))
        for _ in range(50):
            await asyncio.sleep(0)
        await gone(task)

    asyncio.run(stale())
    assert "deployments" not in world.topics
    assert world.offsets.get("models", 0) == 0
