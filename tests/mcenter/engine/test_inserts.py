"""Inserts over the native protocol: all of a block or nothing, once for each token, compressed in any way."""

from __future__ import annotations

import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from clickhouse_driver import errors

from parallelm.mcenter.engine.blocks import LZ4, NONE, ZSTD, frame
from parallelm.mcenter.engine.wire import string, varint
from tests.waiting import wait_for

from .native_client import NativeClient

if TYPE_CHECKING:
    from clickhouse_driver import Client

    from .conftest import EngineProcess

ROWS, SAMPLES = 300, 20


def _landing(client: Client) -> None:
    window = "SETTINGS non_replicated_deduplication_window = 1000"
    client.execute(
        "CREATE TABLE landing (series LowCardinality(String), ts String, v String, at UInt64) ENGINE = Null"
    )
    client.execute(
        "CREATE TABLE samples (series LowCardinality(String), ts DateTime64(3), v Float64, at UInt64)"
        f" ENGINE = MergeTree ORDER BY (series, ts) {window}"
    )
    client.execute(
        "CREATE TABLE minutes (series LowCardinality(String), minute DateTime, n SimpleAggregateFunction(sum, UInt64),"
        f" total SimpleAggregateFunction(sum, Float64)) ENGINE = AggregatingMergeTree ORDER BY (series, minute) {window}"
    )
    client.execute(
        "CREATE MATERIALIZED VIEW to_samples TO samples AS SELECT series, fromUnixTimestamp64Milli(toInt64(t)) AS ts, x AS v, at"
        " FROM (SELECT series, at, reinterpret(landing.ts, 'Array(Float64)') AS a, reinterpret(landing.v, 'Array(Float64)') AS b"
        " FROM landing) ARRAY JOIN a AS t, b AS x"
    )
    client.execute(
        "CREATE MATERIALIZED VIEW to_minutes TO minutes AS SELECT series, toStartOfMinute(ts) AS minute, count() AS n,"
        " sum(v) AS total FROM samples GROUP BY series, minute"
    )


def _insert_block(client: Client, block: int) -> None:
    times = [1.7e12 + block * 1e6 + n for n in range(SAMPLES)]
    rows = [
        (
            f"s{n % 7}",
            struct.pack(f"<{SAMPLES}d", *times),
            struct.pack(f"<{SAMPLES}d", *map(float, range(SAMPLES))),
            n,
        )
        for n in range(ROWS)
    ]
    client.execute(
        "INSERT INTO landing (series, ts, v, at) VALUES",
        list(zip(*rows, strict=True)),
        columnar=True,
        settings={"insert_deduplication_token": f"block {block}", "async_insert": 0},
    )


def test_a_token_deduplicates_behind_a_null_table_and_two_views(client: Client):
    _landing(client)
    for block in (0, 1, 2, 0, 0, 1, 3, 3, 2):
        _insert_block(client, block)
    rows = 4 * ROWS * SAMPLES
    total = 4 * ROWS * sum(range(SAMPLES))
    assert client.execute("SELECT count(), sum(v) FROM samples") == [(rows, float(total))]
    assert client.execute("SELECT sum(n), sum(total) FROM minutes") == [(rows, float(total))]


def test_one_writer_and_four_readers_get_no_errors(engine: EngineProcess, client: Client):
    _landing(client)
    ((database,),) = client.execute("SELECT currentDatabase()")
    done = threading.Event()

    def read() -> int:
        reader = engine.client(database=database)
        reads = seen = 0
        while not (done.is_set() and reads):
            ((n, m),) = reader.execute("SELECT (SELECT count() FROM samples), (SELECT sum(n) FROM minutes)")
            assert n >= seen
            assert m % (ROWS * SAMPLES) == 0
            seen, reads = n, reads + 1
        return reads

    with ThreadPoolExecutor(4) as beside:
        readers = [beside.submit(read) for _ in range(4)]
        try:
            for block in range(40):
                _insert_block(client, block)
        finally:
            done.set()
        assert all(reader.result() for reader in readers)
    assert client.execute("SELECT count() FROM samples") == [(40 * ROWS * SAMPLES,)]


def test_a_client_that_goes_before_its_last_block_inserts_nothing(engine: EngineProcess, client: Client):
    client.execute("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
    ((database,),) = client.execute("SELECT currentDatabase()")
    with NativeClient(engine, database=database) as half:
        half.query("INSERT INTO t VALUES")
        half.send_numbers(range(1000))
    wait_for(lambda: client.execute("SELECT count() FROM system.processes") == [(1,)])
    assert client.execute("SELECT count() FROM t") == [(0,)]


def test_a_cancelled_insert_inserts_nothing(engine: EngineProcess, client: Client):
    client.execute("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
    ((database,),) = client.execute("SELECT currentDatabase()")
    with NativeClient(engine, database=database) as native:
        native.query("INSERT INTO t VALUES")
        native.send_numbers(range(1000))
        native.cancel()
        assert native.until_end() is None
        native.query("SELECT 1")
        assert native.until_end() is None
    assert client.execute("SELECT count() FROM t") == [(0,)]


def test_several_blocks_are_one_insert(client: Client):
    client.execute("CREATE TABLE t (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
    rows = [(n, "x" * (n % 300)) for n in range(20_000)]
    assert client.execute("INSERT INTO t VALUES", rows, settings={"insert_block_size": 700}) == 20_000
    assert client.execute("SELECT count(), sum(length(s)) FROM t") == [(20_000, sum(len(s) for _, s in rows))]
    assert client.execute(
        "SELECT count() FROM system.parts WHERE active AND database = currentDatabase()"
    ) == [(1,)]


def test_an_insert_of_no_rows(client: Client):
    client.execute("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
    assert client.execute("INSERT INTO t VALUES", []) == 0
    assert client.execute("SELECT count() FROM t") == [(0,)]


def test_the_order_and_choice_of_columns_is_the_clients(client: Client):
    client.execute(
        "CREATE TABLE t (a Int32, `odd name` String, b Float64 DEFAULT a * 2, c Int32 MATERIALIZED a + 1) ENGINE = Memory"
    )
    client.execute("INSERT INTO t (`odd name`, a) VALUES", [("x", 1)])
    client.execute("INSERT INTO t VALUES", [(5, "y", 0.5)])
    client.execute("INSERT INTO t (* EXCEPT(b)) FORMAT Native", [(7, "z")])
    assert client.execute("SELECT *, c FROM t ORDER BY a") == [
        (1, "x", 2.0, 2),
        (5, "y", 0.5, 6),
        (7, "z", 14.0, 8),
    ]


def test_a_table_function_takes_data(client: Client):
    assert client.execute("INSERT INTO FUNCTION null('n UInt8') VALUES", [(1,), (2,)]) == 2


@pytest.mark.parametrize("method", [LZ4, ZSTD, NONE])
@pytest.mark.parametrize("piece", [10**9, 65_536, 1000])
def test_blocks_split_into_frames_of_any_method(
    engine: EngineProcess, client: Client, method: int, piece: int
):
    client.execute("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
    ((database,),) = client.execute("SELECT currentDatabase()")
    with NativeClient(engine, database=database, method=method, piece=piece) as native:
        native.query("INSERT INTO t VALUES")
        native.send_numbers(range(50_000))
        native.end_of_data()
        assert native.until_end() is None
    assert client.execute("SELECT count(), sum(n) FROM t") == [(50_000, 50_000 * 49_999 // 2)]


def test_a_damaged_block_is_refused(engine: EngineProcess, client: Client):
    client.execute("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
    ((database,),) = client.execute("SELECT currentDatabase()")
    with NativeClient(engine, database=database, method=LZ4) as native:
        native.query("INSERT INTO t VALUES")
        block = varint(1) + varint(1) + string("n") + string("UInt64") + struct.pack("<Q", 5)
        packed = bytearray(frame(b"\0" + block, LZ4))
        packed[-1] ^= 1
        native.send(varint(2), string(""), bytes(packed))
        refused = native.until_end()
    assert refused is not None
    assert "checksum" in refused
    assert client.execute("SELECT count() FROM t") == [(0,)]


def test_zstd_answers(engine: EngineProcess):
    with NativeClient(engine, method=ZSTD) as native:
        native.query("SELECT number FROM numbers(1000)", {"network_compression_method": "ZSTD"})
        assert native.until_end() is None
        assert native.methods == {ZSTD}


def test_wrong_types_are_the_clients_error(client: Client):
    client.execute("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
    with pytest.raises(errors.TypeMismatchError):
        client.execute("INSERT INTO t VALUES", [("text",)], types_check=True)
    assert client.execute("INSERT INTO t VALUES", [(1,)]) == 1


def test_merges_make_no_statistics_of_columns(client: Client):
    client.execute("CREATE TABLE merged (n UInt64, text String) ENGINE = MergeTree ORDER BY n")
    for number in range(2):
        client.execute("INSERT INTO merged VALUES", [(number, str(number))])
    client.execute("OPTIMIZE TABLE merged FINAL")
    kept = "SELECT column, statistics FROM system.parts_columns WHERE active AND table = 'merged' ORDER BY column"
    assert client.execute(kept) == [("n", []), ("text", [])]
