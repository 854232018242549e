"""Crashes, lost answers and zombies at any point of any batch, played without Kafka: every transition exactly once."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from parallelm.stream_processors.alert_routes import COMPONENT_ALERT
from parallelm.stream_processors.alerts.component_alerts import FORGET_MS, SILENCE_MS
from parallelm.stream_processors.runtime import shard as shard_module
from parallelm.stream_processors.series_stage.pages import PAGE

from .shards import (
    FAULTS,
    SERIES,
    World,
    calm,
    finish,
    gone,
    history,
    holding,
    hurried,
    reports,
    transitions,
    undisturbed,
    work,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True, scope="module")
def _hurried() -> Iterator[None]:
    with hurried():
        yield


# Shrinking a storm takes minutes and tells little: the seed is printed.
@settings(
    max_examples=15, deadline=None, print_blob=True, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
@given(
    models=st.integers(1, 4),
    faults=st.lists(st.sampled_from(("none", *FAULTS)), max_size=25),
    seed=st.integers(0, 2**32),
)
def test_crashes_anywhere_neither_lose_nor_double_a_transition(models: int, faults: list[str], seed: int):
    stormy = World(history(models), faults=iter(faults))
    asyncio.run(finish(stormy, random.Random(seed).randrange))
    assert holding(stormy) == holding(calm(models))
    assert "dead-letters" not in stormy.topics


@settings(
    max_examples=15, deadline=None, print_blob=True, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
@given(models=st.integers(1, 3), owners=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_owners_that_go_on_after_they_have_lost_the_partition_write_nothing_more(
    models: int, owners: int, seed: int
):
    world, chance = World(history(models)), random.Random(seed)

    async def hand_over() -> None:
        zombies = []
        for owner in range(owners):
            steps = iter(range(chance.randrange(30)))
            until = lambda steps=steps: next(steps, None) is None  # type: ignore[misc]  # noqa: E731
            zombies.append(await work(world, chance.randrange, until=until, owner=owner))
            # Whoever comes next has opened the shard before this one notices.
        last = await work(world, chance.randrange, until=world.is_done, owner=owners)
        for zombie in zombies:
            assert not zombie.done(), "it waits for its group to tell it"
            await gone(zombie)
        await gone(last)

    asyncio.run(hand_over())
    assert holding(world) == holding(calm(models))


@settings(
    max_examples=10, deadline=None, print_blob=True, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
@given(
    models=st.integers(1, 3),
    intrusions=st.lists(st.integers(1, 10), max_size=shard_module.MAX_FENCED),
    seed=st.integers(0, 2**32),
)
def test_an_owner_that_is_fenced_by_one_that_was_paused_opens_its_shard_again_and_goes_on(
    models: int, intrusions: list[int], seed: int
):
    world, chance = World(history(models)), random.Random(seed)
    pauses = iter(intrusions)

    async def intruded() -> None:
        wait = next(pauses, None)

        def until() -> bool:
            """It was paused between its membership check and opening; meanwhile the group has given the shard away."""
            nonlocal wait
            if wait is not None:
                wait -= 1
                if wait == 0:
                    world.epoch += 1
                    wait = next(pauses, None)
            return world.is_done()

        await gone(await work(world, chance.randrange, until=until))

    asyncio.run(intruded())
    assert holding(world) == holding(calm(models))


@settings(
    max_examples=12, deadline=None, print_blob=True, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
@given(
    days=st.integers(1, 20),
    faults=st.lists(st.sampled_from(("none", *FAULTS)), max_size=25),
    seed=st.integers(0, 2**32),
)
def test_crashes_anywhere_judge_each_sample_once(days: int, faults: list[str], seed: int):
    calm = undisturbed(World(reports(days), SERIES))
    stormy = World(reports(days), SERIES, faults=iter(faults))
    asyncio.run(finish(stormy, random.Random(seed).randrange))
    assert "dead-letters" not in stormy.topics
    steps = [
        [message.value for message in world.topics.get("rule-aggregates", ())] for world in (stormy, calm)
    ]
    assert steps[0] == steps[1]
    assert len(steps[0]) == expected_steps(days)
    pages = [
        {key: value for key, value in world.state().items() if PAGE.encode() in key}
        for world in (stormy, calm)
    ]
    assert pages[0] == pages[1]


def expected_steps(days: int) -> int:
    """One of ``share`` a day from the second on; drift begins at day 0 and 8, fires at 3 and 11, ends at 5 and 13."""
    drift = sum(day < days for start in range(0, days, 8) for day in (start, start + 3, start + 5))
    return days - 1 + drift


def test_what_is_remembered_of_a_component_s_alert_goes_when_it_is_long_over():
    world = calm(1)

    def remembered(now_ms: int) -> int:
        """Alerts that are remembered when the broker's clock says ``now_ms``; they came at 1 ms."""
        world.now_ms = now_ms
        before = len(world.changelog)

        async def wait() -> None:
            # Time is asked for, told, and then acted on.
            task = await work(world, lambda _: 1, until=lambda: len(world.changelog) > before + 5)
            await gone(task)

        asyncio.run(wait())
        return len([key for key in world.state() if COMPONENT_ALERT.encode() in key])

    assert remembered(SILENCE_MS) == 1
    assert "resolved" not in states_of(world, "GenericDataAlert")
    assert remembered(SILENCE_MS + 1) == 1
    assert states_of(world, "GenericDataAlert") == ["firing", "resolved"]
    assert remembered(FORGET_MS) == 1
    assert remembered(FORGET_MS + 1) == 0


def states_of(world: World, rule: str) -> list[str]:
    return [each.state.value for each in transitions(world).values() if getattr(each, "rule", "") == rule]
