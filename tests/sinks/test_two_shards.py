"""Two servers as two shards, two sinks: each record on one of them, once, whatever is killed and whenever the map changes.

``make faults ROUNDS=100 SEED=…`` runs more rounds with chance.
"""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.connections import save_settings
from parallelm.schemas import topics
from parallelm.sinks.errors import NotReadyError
from parallelm.sinks.intent import Placement
from parallelm.warehouse import migrate
from tests.mcenter.engine.conftest import EngineProcess, running_engine
from tests.service_process import ServiceProcess
from tests.sinks import samples
from tests.sinks.conftest import Platform
from tests.sinks.samples import T0_MS
from tests.sinks.test_faults import events, leave_intent, send_statistics
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.connections import Settings

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "5"))
SEED = int(os.environ.get("FAULT_SEED", "7"))
RECORDS_A_ROUND = 300
_MAPS = ("a = {0}; b = {1}", "b = {1}; a = {0}")
_KILLED = {"one sink": 1, "both sinks": 2, "server": 0, "sink and server": 1, "both sinks, new map": 2}
"""Sinks that are killed by each kind of fault."""


@pytest.fixture(scope="module")
def second(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """A second server, which lets the same users in."""
    clickhouse = stack.clickhouse
    users = ("--user", clickhouse.user, "--password", clickhouse.password)
    with running_engine(tmp_path_factory.mktemp("second"), *users) as engine:
        yield engine


class Shards:
    """The two servers, with one database of this test on each."""

    def __init__(self, platform: Platform, second: EngineProcess) -> None:
        self.first = platform
        self.engine = second
        clickhouse = platform.settings.clickhouse
        moved = dataclasses.replace(clickhouse, port=second.port, http_port=second.http_port)
        self.second = Platform(dataclasses.replace(platform.settings, clickhouse=moved))
        self.servers = (self.first, self.second)
        self.addresses = [f"127.0.0.1:{each.settings.clickhouse.port}" for each in self.servers]

    def with_map(self, shards: str, version: int = 1) -> Platform:
        """The platform with a map, in which ``{0}`` and ``{1}`` are the servers."""
        clickhouse = dataclasses.replace(
            self.first.settings.clickhouse, shards=shards.format(*self.addresses), shards_version=version
        )
        return Platform(dataclasses.replace(self.first.settings, clickhouse=clickhouse))

    def both(self, query: str) -> list[Any]:
        """Answers of the two servers to a question for one value."""
        return [each.value(query) for each in self.servers]

    def wait_for_sum(self, query: str, expected: float) -> None:
        wait_for(
            lambda: sum(self.both(query)) == expected, lambda: f"{query}: {self.both(query)}, not {expected}"
        )

    def assert_exact(self, records: int) -> None:
        """Batches of ``send_statistics``: samples and rollups of both servers together, and each record on one of them."""
        self.wait_for_sum("SELECT count() FROM statistics", 3 * records)
        self.wait_for_sum("SELECT sum(samples) FROM statistics_by_day", 3 * records)
        assert sum(self.both("SELECT sum(value) FROM statistics")) == 6 * records
        assert sum(self.both("SELECT sum(sum_value) FROM statistics_by_day")) == 6 * records
        identity = "SELECT DISTINCT _partition, _offset, _series, _index FROM statistics"
        assert len({row for each in self.servers for row in each.rows(identity)}) == 3 * records


@pytest.fixture
def shards(platform: Platform, second: EngineProcess) -> Iterator[Shards]:
    made = Shards(platform, second)
    migrate(made.second.settings)
    yield made
    made.second.client.execute(f"DROP DATABASE {made.second.settings.clickhouse.database}")
    made.second.client.disconnect()


class Faults:
    """Two sinks and the second server, of which some are killed."""

    def __init__(self, shards: Shards, folder: Path, chance: random.Random) -> None:
        self._shards = shards
        self._chance = chance
        self.sinks = [
            ServiceProcess(
                folder / name,
                *("sink", "--flush-ms", "20", "--session-timeout-s", "6", "--instance-id", name),
                settings=shards.with_map(_MAPS[0]).settings,
            )
            for name in ("sink-0", "sink-1")
        ]
        self.done: Counter[str] = Counter()
        self._next: list[str] = []

    def once(self) -> None:
        """Kill something at some moment, and start it again: each kind as often as the others."""
        time.sleep(self._chance.uniform(0.0, 0.3))  # the moment of the crash is the point
        if not self._next:
            self._next = self._chance.sample(list(_KILLED), len(_KILLED))
        what = self._next.pop()
        self.done[what] += 1
        chosen = self._chance.sample(self.sinks, _KILLED[what])
        for sink in chosen:
            sink.end(signal.SIGKILL)
        if "new map" in what:
            version = 1 + self.done[what]
            changed = self._shards.with_map(_MAPS[version % 2 - 1], version).settings
            for sink in self.sinks:
                save_settings(changed, sink.folder / "mcenter.toml")
        if "server" in what:
            self._shards.engine.kill()
            self._shards.engine.start()
        for sink in chosen:
            sink.start(wait=False)


def test_two_shards_are_exact_whatever_is_killed(shards: Shards, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    faults = Faults(shards, tmp_path, chance)
    with faults.sinks[0], faults.sinks[1]:
        for number in range(1, ROUNDS + 1):
            with ThreadPoolExecutor(1) as beside:
                sent = beside.submit(send_statistics, shards.first, RECORDS_A_ROUND, origins=24)
                faults.once()
                sent.result()
            shards.assert_exact(number * RECORDS_A_ROUND)
        for sink in faults.sinks:
            sink.wait_ready()
            assert sink.end(signal.SIGTERM) == 0
    assert all(shards.both("SELECT count() > 0 FROM statistics"))
    sys.stdout.write(
        f"{ROUNDS} rounds of seed {SEED}, {ROUNDS * RECORDS_A_ROUND} records: {dict(faults.done)}\n"
    )


def test_a_new_map_moves_what_follows_and_never_a_block_that_may_be_there(shards: Shards) -> None:
    leave_intent(shards.first, topics.EVENTS, events(shards.first, 5), placement=Placement("a", 1))
    shards.first.send(topics.EVENTS, events(shards.first, 1)[0], partition=0)
    with shards.with_map("b = {1}; a = {0}", version=2).sink():
        shards.wait_for_sum("SELECT count() FROM events", 6)
    assert shards.both("SELECT (count(), max(_offset)) FROM events") == [(5, 4), (1, 5)]
    with (
        pytest.raises(NotReadyError, match="version 2 of the map of shards, and this sink has version 1"),
        shards.with_map("a = {0}").sink() as older,
    ):
        older.wait_until_ended()
    with shards.with_map("a = {0}", version=3).sink():
        shards.first.send(topics.EVENTS, events(shards.first, 1)[0], partition=0)
        shards.wait_for_sum("SELECT count() FROM events", 7)
    assert shards.both("SELECT count() FROM events") == [6, 1]


def test_a_writer_goes_to_another_host_of_its_shard(shards: Shards) -> None:
    with shards.with_map("a = 127.0.0.1:1, {0}").sink():
        send_statistics(shards.first, 50)
        shards.assert_exact(50)


def test_while_a_shard_is_away_the_other_gets_its_rows_and_after_it_both_have_theirs(
    shards: Shards, tmp_path: Path
) -> None:
    settings = shards.with_map("a = {0}; b = {1}").settings
    shards.engine.kill()
    with ServiceProcess(tmp_path / "sink", "sink", "--flush-ms", "20", settings=settings) as sink:
        for sent in (100, 200, 300):  # the second and third time it has failed already
            send_to_both_shards(shards.first, 100)
            shards.first.wait("SELECT count() FROM statistics WHERE _partition = 0", 3 * sent)
        assert shards.first.value("SELECT count() FROM statistics WHERE _partition = 1") == 0
        shards.engine.start()
        shards.assert_exact(600)
        assert sink.terminate() == 0


def test_partitions_that_wait_for_a_shard_are_read_on_after_a_rebalance(shards: Shards) -> None:
    shards.engine.kill()
    platform = shards.with_map("a = {0}; b = {1}")
    with platform.sink() as first:
        send_to_both_shards(shards.first, 50)
        wait_for(lambda: first.metric("retries_total", reason="database") >= 2)
        with platform.sink():  # it takes a half of the partitions, and gives them back
            shards.first.wait("SELECT count() FROM statistics WHERE _partition = 0", 150)
        shards.engine.start()
        send_to_both_shards(shards.first, 50)
        shards.assert_exact(200)


def send_to_both_shards(platform: Platform, records: int) -> None:
    """As many to partition 0 as to partition 1."""
    for partition in range(2):
        for seq in range(records):
            batch = samples.batch(samples.series([T0_MS, T0_MS + 1, T0_MS + 2], [1.0, 2.0, 3.0]), seq=seq)
            platform.send(topics.STATISTICS, batch, partition=partition, flush=False)
    platform.flush()


def test_where_the_group_has_forgotten_its_offsets_all_shards_are_asked(shards: Shards) -> None:
    with shards.with_map("a = {0}; b = {1}").sink():
        send_statistics(shards.first, 100, origins=24)
        shards.assert_exact(100)
    # Another group has no offsets, as one that was idle for longer than Kafka keeps them; and partitions have moved.
    with shards.with_map("b = {1}; a = {0}", version=2).sink(group="another"):
        send_statistics(shards.first, 100, origins=24)
        shards.assert_exact(200)
