"""clickhouse-driver against the engine: queries, types, settings, errors, cancel."""

from __future__ import annotations

import datetime as dt
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from clickhouse_driver import errors
from clickhouse_driver.result import QueryInfo

from tests.waiting import wait_for

from .conftest import PASSWORD, is_running
from .native_client import NativeClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_driver import Client

    from .conftest import EngineProcess

ENDLESS = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
AT = dt.datetime.fromisoformat

TYPES: list[tuple[str, list[Any]]] = [
    ("UInt8", [0, 255]),
    ("Int64", [-(2**63), 2**63 - 1]),
    ("Int128", [-(2**127), 7]),
    ("UInt256", [0, 2**256 - 1]),
    ("Float32", [0.5, -0.25]),
    ("Float64", [1e300, -0.1]),
    ("Bool", [True, False]),
    ("String", ["", "é" * 5000]),
    ("FixedString(4)", ["abcd", "wxyz"]),
    ("Date", [dt.date(1970, 1, 1), dt.date(2149, 6, 6)]),
    ("Date32", [dt.date(1925, 1, 1), dt.date(2200, 1, 1)]),
    ("DateTime", [AT("2013-01-01T00:00:00"), AT("2026-05-01T01:02:03")]),
    ("DateTime64(3)", [AT("2013-01-01T00:00:00.123000"), AT("1950-01-01T00:00:00")]),
    ("UUID", [uuid.UUID(int=0), uuid.UUID(int=2**128 - 2)]),
    ("IPv4", [IPv4Address("127.0.0.1"), IPv4Address("255.255.255.255")]),
    ("IPv6", [IPv6Address("::1"), IPv6Address("2001:db8::1")]),
    ("Enum8('red' = -1, 'it''s, (blue)' = 2)", ["red", "it's, (blue)"]),
    ("Enum16('a' = 1000, 'b' = -1000)", ["a", "b"]),
    ("Decimal(9, 2)", [Decimal("-1.25"), Decimal("9999999.99")]),
    ("Decimal(38, 10)", [Decimal("1.5"), Decimal("-2.25")]),
    ("Decimal(76, 5)", [Decimal("1.5"), Decimal("-2.25")]),
    ("Nullable(Float64)", [None, 2.5]),
    ("Nullable(String)", ["x", None]),
    ("Array(Array(Int32))", [[[1, 2], [], [3]], []]),
    ("Array(Nullable(String))", [["a", None], []]),
    ("Map(String, Array(Float64))", [{"a": [1.0, 2.0], "b": []}, {}]),
    ("Map(LowCardinality(String), String)", [{"carrier": "UA"}, {}]),
    ("Tuple(Int8, String)", [(1, "x"), (-1, "")]),
    ("Tuple(first Int8, second Nullable(String))", [(1, "x"), (2, None)]),
    ("Array(Tuple(String, DateTime64(3)))", [[("a", AT("2020-01-01T00:00:00"))], []]),
    ("LowCardinality(String)", ["x", "y"]),
    ("LowCardinality(Nullable(String))", ["x", None]),
    ("Array(LowCardinality(String))", [["x", "y", "x"], []]),
    ("SimpleAggregateFunction(sum, UInt64)", [1, 2]),
]


@pytest.mark.parametrize("compression", [False, "lz4", "lz4hc"])
@pytest.mark.parametrize(("kind", "values"), TYPES, ids=[kind for kind, _ in TYPES])
def test_values_come_back_as_they_were_sent(
    engine: EngineProcess, kind: str, values: list[Any], compression: Any
):
    client = engine.client(compression=compression)
    client.execute("DROP TABLE IF EXISTS default.kinds")
    client.execute(f"CREATE TABLE default.kinds (n UInt32, v {kind}, after String) ENGINE = Memory")
    client.execute("INSERT INTO default.kinds VALUES", [(n, value, "end") for n, value in enumerate(values)])
    rows = client.execute("SELECT v, after FROM default.kinds ORDER BY n")
    assert rows == [(value, "end") for value in values]
    client.disconnect()


def test_nested_columns(client: Client):
    client.execute(
        "CREATE TABLE t (n UInt8, point Nested(name String, value Float64)) ENGINE = MergeTree ORDER BY n"
    )
    client.execute("INSERT INTO t (n, point.name, point.value) VALUES", [(1, ["a", "b"], [1.0, 2.0])])
    assert client.execute("SELECT n, point.name, point.value FROM t") == [(1, ["a", "b"], [1.0, 2.0])]


def test_json_is_sent_and_read_as_text(client: Client):
    client.execute("CREATE TABLE t (n UInt8, body JSON) ENGINE = MergeTree ORDER BY n")
    client.execute("INSERT INTO t VALUES", [(1, '{"a": {"b": 5}}')])
    assert client.execute("SELECT body.a.b::Int64, toString(body) FROM t") == [(5, '{"a":{"b":5}}')]
    assert client.execute("SELECT body FROM t") == [({"a": {"b": 5}},)]


def test_aggregate_states_are_merged_where_they_lie(client: Client):
    client.execute(
        "CREATE TABLE t (k UInt8, q AggregateFunction(quantileTDigest, Float64), s SimpleAggregateFunction(sum, Float64))"
        " ENGINE = AggregatingMergeTree ORDER BY k"
    )
    client.execute(
        "INSERT INTO t SELECT 1, quantileTDigestState(toFloat64(number)), sum(number) FROM numbers(1001)"
    )
    assert client.execute("SELECT quantileTDigestMerge(0.5)(q), sum(s) FROM t") == [(500.0, 500500.0)]


def test_an_empty_answer_still_tells_its_columns(client: Client):
    rows, columns = client.execute("SELECT 1 AS a, 'x' AS b WHERE 0", with_column_types=True)
    assert (rows, columns) == ([], [("a", "UInt8"), ("b", "String")])
    rows, columns = client.execute("SHOW TABLES", with_column_types=True)
    assert (rows, columns) == ([], [("name", "String")])


def test_statements_around_tables(client: Client):
    client.execute("CREATE TABLE t (a Int32 DEFAULT 7, b String) ENGINE = MergeTree ORDER BY a")
    assert client.execute("SHOW TABLES") == [("t",)]
    assert client.execute("EXISTS TABLE t") == [(1,)]
    assert client.execute("DESCRIBE TABLE t")[0][:2] == ("a", "Int32")
    assert client.execute("EXPLAIN SELECT 1")
    client.execute("INSERT INTO t VALUES (1, 'inline; (values)'), (2, 'x')")
    client.execute("INSERT INTO t SELECT 3, 'selected'")
    assert client.execute("INSERT INTO t (b) VALUES", [("defaulted",)]) == 1
    assert client.execute("INSERT INTO t (a, b) SETTINGS async_insert = 0 VALUES", [(9, "set")]) == 1
    assert client.execute("SELECT a, b FROM t ORDER BY a FORMAT JSON;") == [
        (1, "inline; (values)"),
        (2, "x"),
        (3, "selected"),
        (7, "defaulted"),
        (9, "set"),
    ]
    assert client.execute("WITH 5 AS x SELECT x") == [(5,)]
    client.execute("ALTER TABLE t DELETE WHERE a = 9", settings={"mutations_sync": 1})
    client.execute("OPTIMIZE TABLE t FINAL")
    assert client.execute("-- comment\n(SELECT count() FROM t)") == [(4,)]


def test_many_rows_stream(client: Client):
    numbers = client.execute_iter("SELECT number, toString(number) FROM numbers(300000)")
    assert sum(row[0] for row in numbers) == 300_000 * 299_999 // 2
    assert client.execute("SELECT 1") == [(1,)]


def test_show_of_more_than_one_block(client: Client):
    client.execute("CREATE VIEW big AS SELECT 1")
    answer = client.execute("SHOW SETTINGS LIKE '%'")
    assert len(answer) > 500
    assert client.execute("EXPLAIN SYNTAX SELECT 1")


def test_settings_hold_for_one_query(client: Client):
    read = "SELECT value FROM system.settings WHERE name = 'max_block_size'"
    usual = client.execute(read)
    assert client.execute(read, settings={"max_block_size": 1234}) == [("1234",)]
    assert client.execute(read) == usual
    client.execute("SET max_block_size = 777")
    assert client.execute(read, settings={"max_block_size": 1234}) == [("1234",)]
    assert client.execute(read) == [("777",)]


def test_unknown_settings_are_ignored_unless_important(engine: EngineProcess, client: Client):
    assert client.execute("SELECT 1", settings={"no_such_setting": 1}) == [(1,)]
    strict = engine.client(settings_is_important=True)
    with pytest.raises(errors.ServerException) as caught:
        strict.execute("SELECT 1", settings={"no_such_setting": 1})
    assert caught.value.code == 115
    assert strict.execute("SELECT 2") == [(2,)]
    strict.disconnect()


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT * FROM missing", 60),
        ("SELECT (1", 62),
        ("SELECT throwIf(number = 200000) FROM numbers(300000)", 395),
        ("INSERT INTO missing VALUES", 60),
        ("INSERT INTO t VALUES (1, 2, 3)", 62),
        ("CREATE TABLE t (a Int8) ENGINE = Memory", 57),
        ("DROP DATABASE missing", 81),
        ("DROP TABLE t; SELECT 1", 62),
    ],
)
def test_errors_have_their_code_and_leave_the_connection_usable(client: Client, sql: str, code: int):
    client.execute("CREATE TABLE t (a Int8) ENGINE = Memory")
    # clickhouse-driver itself hangs up after an error, so its layer below is used.
    with pytest.raises(errors.ServerException) as caught:
        _ask(client, sql)
    assert caught.value.code == code
    assert _ask(client, "SELECT 'alive', currentDatabase() LIKE 't%'") == [("alive", 1)]


def _ask(client: Client, sql: str) -> Any:
    client.last_query = QueryInfo()
    client.connection.send_query(sql)
    client.connection.send_external_tables([])
    return client.receive_result()


def test_a_value_that_the_table_refuses(client: Client):
    client.execute("CREATE TABLE t (a Int8, CONSTRAINT small CHECK a < 5) ENGINE = MergeTree ORDER BY a")
    with pytest.raises(errors.ServerException) as caught:
        client.execute("INSERT INTO t VALUES", [(9,)])
    assert caught.value.code == 469
    assert client.execute("SELECT count() FROM t") == [(0,)]


@pytest.mark.parametrize("wrong", [{"password": "wrong"}, {"password": ""}, {"user": "nobody"}])
def test_wrong_credentials(engine: EngineProcess, wrong: dict[str, str]):
    with pytest.raises(errors.ServerException) as caught:
        engine.client(**wrong).execute("SELECT 1")
    assert caught.value.code == 516


def test_a_database_that_is_not_there(engine: EngineProcess):
    with pytest.raises(errors.ServerException, match="nowhere") as caught:
        engine.client(database="nowhere").execute("SELECT 1")
    assert caught.value.code == 81


def test_the_password_is_in_no_process_list(engine: EngineProcess):
    assert PASSWORD not in " ".join(psutil.Process(engine.pid).cmdline())


def test_progress_of_a_long_query(client: Client):
    progress = client.execute_with_progress("SELECT sum(sipHash64(number)) > 0 FROM numbers(20000000)")
    steps = list(progress)
    assert steps[-1] == (20_000_000, 20_000_000)
    assert progress.get_result() == [(1,)]


def test_a_query_without_rows_can_be_cancelled(engine: EngineProcess, client: Client):
    client.execute("SELECT 1")
    with _once_endless_runs(engine, lambda: client.connection.socket.send(b"\x03")):
        assert client.execute(ENDLESS) == []
    assert client.execute("SELECT 1") == [(1,)]
    _wait_until_idle(engine)


def test_a_query_can_be_cancelled_before_it_has_begun(engine: EngineProcess):
    for _ in range(5):
        with NativeClient(engine) as native:
            native.query(ENDLESS)
            native.cancel()
            assert native.until_end() is None
    _wait_until_idle(engine)


def test_the_query_of_a_client_that_goes_at_once_is_not_begun_or_ended(engine: EngineProcess):
    process = psutil.Process(engine.pid)
    before = len(process.net_connections())
    for _ in range(5):
        with NativeClient(engine) as native:
            native.query(ENDLESS)
    wait_for(lambda: len(process.net_connections()) <= before)
    _wait_until_idle(engine)


def test_a_stream_can_be_cancelled(client: Client):
    assert next(client.execute_iter("SELECT number FROM numbers(100000000000)")) == (0,)
    client.cancel()
    assert client.execute("SELECT 1") == [(1,)]


def test_the_query_of_a_client_that_went_is_ended(engine: EngineProcess):
    client = engine.client()
    client.execute("SELECT 1")
    with (
        _once_endless_runs(engine, lambda: client.connection.socket.shutdown(socket.SHUT_RDWR)),
        pytest.raises((EOFError, OSError, errors.NetworkError)),
    ):
        client.execute(ENDLESS)
    _wait_until_idle(engine)


def test_a_time_limit_holds(client: Client):
    with pytest.raises(errors.ServerException) as caught:
        client.execute(ENDLESS, settings={"max_execution_time": 1})
    assert caught.value.code == 159
    assert client.execute("SELECT 1") == [(1,)]


def test_kill_query(engine: EngineProcess, client: Client):
    killed = "KILL QUERY WHERE query LIKE '%sipHash64%' AND query NOT LIKE '%system.processes%' SYNC"
    with (
        _once_endless_runs(engine, lambda: client.execute(killed)),
        pytest.raises(errors.ServerException) as caught,
    ):
        engine.client().execute(ENDLESS)
    assert caught.value.code == 394


@contextmanager
def _once_endless_runs(engine: EngineProcess, act: Callable[[], object]) -> Iterator[None]:
    """Beside what stands inside, which runs ``ENDLESS``: act when that has begun."""
    watcher = engine.client()

    def wait_and_act() -> None:
        wait_for(lambda: is_running(watcher, "sipHash64"))
        act()

    with ThreadPoolExecutor(1) as beside:
        acting = beside.submit(wait_and_act)
        yield
        acting.result()
    watcher.disconnect()


def _wait_until_idle(engine: EngineProcess) -> None:
    watcher = engine.client()
    wait_for(lambda: not is_running(watcher, "sipHash64"))
    watcher.disconnect()
