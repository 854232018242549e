"""``kill -9`` and start again: nothing acknowledged is lost, nothing is doubled by a replay under the same token."""

from __future__ import annotations

import itertools
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from clickhouse_driver import errors

from tests.waiting import DEADLINE_S, wait_for

from .conftest import EngineProcess, is_running, running_engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_driver import Client

ROUNDS = 6
ROWS = 200
STEADY_BLOCKS = 3
"""Acknowledged in each round before its kill is timed."""
SEED = int(os.environ.get("FAULT_SEED", "20130101"))
WINDOW = "SETTINGS non_replicated_deduplication_window = 10000"
SUM = "SimpleAggregateFunction(sum, UInt64)"
DDL = (
    "CREATE TABLE IF NOT EXISTS landing (block UInt64, n UInt64) ENGINE = Null",
    f"CREATE TABLE IF NOT EXISTS samples (block UInt64, n UInt64) ENGINE = MergeTree PARTITION BY block % 2 ORDER BY n {WINDOW}",
    f"CREATE TABLE IF NOT EXISTS rollup (block UInt64, n {SUM}) ENGINE = AggregatingMergeTree ORDER BY block {WINDOW}",
    "CREATE MATERIALIZED VIEW IF NOT EXISTS to_samples TO samples AS SELECT block, n FROM landing",
    "CREATE MATERIALIZED VIEW IF NOT EXISTS to_rollup TO rollup AS SELECT block, count() AS n FROM samples GROUP BY block",
)


@pytest.fixture
def own_engine(tmp_path: Path) -> Iterator[EngineProcess]:
    with running_engine(tmp_path) as engine:
        yield engine


def test_kill_9_during_inserts_loses_and_doubles_nothing(own_engine: EngineProcess):
    print(f"seed {SEED}")  # noqa: T201 - shown when the test fails
    pauses = random.Random(SEED)
    client = own_engine.client()
    for statement in DDL:
        client.execute(statement)
    acknowledged = 0
    for _ in range(ROUNDS):
        in_flight = acknowledged = _insert_until_killed(own_engine, acknowledged, pauses.uniform(0.01, 0.5))
        own_engine.start()
        client = own_engine.client()
        # The client does not know whether its last block arrived, so it sends it again.
        _insert(client, in_flight)
        acknowledged += 1
        assert _counts(client) == [(block, ROWS, ROWS) for block in range(acknowledged)]
    assert acknowledged >= ROUNDS * (STEADY_BLOCKS + 1)


def test_a_token_whose_part_never_came_is_forgotten(own_engine: EngineProcess):
    client = own_engine.client()
    for statement in DDL:
        client.execute(statement)
    _insert(client, 0)
    client.execute("SYSTEM STOP MERGES samples")
    _insert(client, 2)
    own_engine.kill()
    # What a kill between the log and the rename leaves: block 2's line, but no part.
    (part,) = own_engine.data.glob("store/*/*/0_2_2_0")
    for file in part.iterdir():
        file.unlink()
    part.rmdir()
    own_engine.start()
    client = own_engine.client()
    assert client.execute("SELECT count() FROM samples") == [(ROWS,)]
    _insert(client, 0)
    _insert(client, 2)
    assert _counts(client) == [(0, ROWS, ROWS), (2, ROWS, ROWS)]
    own_engine.stop()
    assert "belong to no part" in own_engine.log.read_text()


def test_merged_parts_keep_their_tokens(own_engine: EngineProcess):
    client = own_engine.client()
    for statement in DDL:
        client.execute(statement)
    for block in range(6):
        _insert(client, block)
    client.execute("OPTIMIZE TABLE samples FINAL")
    client.execute("OPTIMIZE TABLE rollup FINAL")
    client.execute("ALTER TABLE samples DELETE WHERE n = 10000", settings={"mutations_sync": 2})
    own_engine.stop()
    # As after some minutes: only the merged parts are left.
    for outdated in own_engine.data.glob("store/*/*/*_[0-9]_[0-9]_0"):
        for file in outdated.iterdir():
            file.unlink()
        outdated.rmdir()
    own_engine.start()
    client = own_engine.client()
    for block in range(6):
        _insert(client, block)
    assert _counts(client) == [(block, ROWS, ROWS) for block in range(6)]


def test_sigterm_lets_a_running_insert_end(own_engine: EngineProcess):
    client = own_engine.client()
    watcher = own_engine.client()
    client.execute("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
    with ThreadPoolExecutor(1) as beside:
        slow = beside.submit(
            client.execute, "INSERT INTO t SELECT number + sleepEachRow(0.15) FROM numbers(10)"
        )
        wait_for(lambda: is_running(watcher, "sleepEachRow"))
        assert own_engine.stop() == 0
        slow.result()
    own_engine.start()
    assert own_engine.client().execute("SELECT count() FROM t") == [(10,)]


def test_a_data_folder_has_one_owner(own_engine: EngineProcess):
    second = own_engine.spawn()
    assert second.wait(DEADLINE_S) == 1
    assert f"in use by the engine with pid {own_engine.pid}" in own_engine.log.read_text()
    assert own_engine.client().execute("SELECT 1") == [(1,)]


def test_a_taken_port_is_named(own_engine: EngineProcess, tmp_path: Path):
    other = EngineProcess(tmp_path / "other")
    other.data.parent.mkdir()
    other.port = own_engine.port
    assert other.spawn().wait(DEADLINE_S) == 1
    assert f"ports {own_engine.port} and" in other.log.read_text()


def _insert(client: Client, block: int) -> None:
    rows = [(block, n) for n in range(ROWS)]
    client.execute(
        "INSERT INTO landing VALUES",
        rows,
        settings={"insert_deduplication_token": f"block {block}", "async_insert": 0},
    )


def _insert_until_killed(engine: EngineProcess, first: int, pause_s: float) -> int:
    """Number of the block that was not acknowledged."""
    client = engine.client()
    for block in range(first, first + STEADY_BLOCKS):
        _insert(client, block)
    killer = threading.Timer(pause_s, engine.kill)
    killer.start()
    try:
        for block in itertools.count(first + STEADY_BLOCKS):
            try:
                _insert(client, block)
            except (EOFError, OSError, errors.Error):
                return block
    finally:
        killer.join()
    raise AssertionError


def _counts(client: Client) -> list[tuple[int, int, int]]:
    """Block, its rows in the samples, its rows by the rollup."""
    found: list[tuple[int, int, int]] = client.execute(
        "SELECT block, s.n, r.n FROM (SELECT block, count() AS n FROM samples GROUP BY block) AS s"
        " FULL JOIN (SELECT block, sum(n) AS n FROM rollup GROUP BY block) AS r USING block ORDER BY block"
    )
    return found
