"""The HTTP interface with clickhouse-connect and as curl uses it."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import cramjam
import lz4.frame
import pandas as pd
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from parallelm.mcenter.engine import http_front
from parallelm.mcenter.engine.errors import EngineError
from tests.waiting import wait_for

from .conftest import PASSWORD, is_running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import EngineProcess


@pytest.fixture
def connect(engine: EngineProcess) -> Iterator[Any]:
    client = engine.http_client()
    client.command("DROP DATABASE IF EXISTS web")
    client.command("CREATE DATABASE web")
    client.command(
        "CREATE TABLE web.t (n Int32, name LowCardinality(String), labels Map(String, Float64), at Nullable(DateTime64(3)))"
        " ENGINE = MergeTree ORDER BY n"
    )
    yield client
    client.close()


def _request(
    engine: EngineProcess,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    **parameters: str,
) -> tuple[int, bytes, Any]:
    url = f"http://127.0.0.1:{engine.http_port}/?{urllib.parse.urlencode(parameters)}"
    known = {"X-ClickHouse-User": "default", "X-ClickHouse-Key": PASSWORD} if headers is None else headers
    request = urllib.request.Request(url, data=body, headers=known)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - a URL of this test
            return response.status, response.read(), response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


def test_clickhouse_connect_inserts_and_reads(connect: Any):
    connect.insert("web.t", [[1, "é", {"q": 1.5}, None]], column_names=["n", "name", "labels", "at"])
    connect.insert_df("web.t", pd.DataFrame({"n": [5, 6], "name": ["p", "q"]}))
    assert connect.query("SELECT * FROM web.t ORDER BY n").result_rows == [
        (1, "é", {"q": 1.5}, None),
        (5, "p", {}, None),
        (6, "q", {}, None),
    ]
    assert connect.query_df("SELECT n, name FROM web.t ORDER BY n")["name"].tolist() == ["é", "p", "q"]
    assert connect.query_arrow("SELECT n FROM web.t ORDER BY n").column("n").to_pylist() == [1, 5, 6]
    assert connect.command("SELECT count() FROM web.t") == 3
    assert connect.query("SELECT n FROM web.t WHERE 0").result_rows == []
    assert connect.ping()


@pytest.mark.parametrize("compression", ["lz4", "zstd", "gzip", True, False])
def test_clickhouse_connect_compresses(engine: EngineProcess, connect: Any, compression: Any):
    client = engine.http_client(compress=compression)
    client.insert(
        "web.t", [[n, "x", {}, None] for n in range(5000)], column_names=["n", "name", "labels", "at"]
    )
    assert client.query("SELECT count(), sum(n) FROM web.t").result_rows == [(5000, 4999 * 2500)]
    client.close()
    assert connect.ping()


def test_parameters_and_settings_of_a_query(connect: Any):
    assert connect.query("SELECT {n:Int32} + 1, {s:String}", parameters={"n": 4, "s": "a'b"}).result_rows == [
        (5, "a'b")
    ]
    read = "SELECT value FROM system.settings WHERE name = 'max_block_size'"
    assert connect.query(read, settings={"max_block_size": 4321}).result_rows == [("4321",)]
    assert connect.query(read).result_rows != [("4321",)]


def test_errors_reach_clickhouse_connect(engine: EngineProcess, connect: Any):
    with pytest.raises(DatabaseError, match=r"code: 60,.*missing"):
        connect.query("SELECT * FROM missing")
    with pytest.raises(DatabaseError, match="code: 516"):
        engine.http_client(password="wrong")  # noqa: S106 - a wrong one
    with pytest.raises(DatabaseError, match="code: 81"):
        engine.http_client(database="nowhere")
    assert connect.query("SELECT 1").result_rows == [(1,)]


def test_both_protocols_see_the_same_tables(engine: EngineProcess, connect: Any):
    connect.insert("web.t", [[1, "x", {}, None]], column_names=["n", "name", "labels", "at"])
    assert engine.client().execute("SELECT n, name FROM web.t") == [(1, "x")]


def test_formats_as_asked(engine: EngineProcess):
    assert _request(engine, query="SELECT 1 AS a, 'x' AS b")[1] == b"1\tx\n"
    assert _request(engine, query="SELECT 1 AS a, 'x' AS b FORMAT CSV")[1] == b'1,"x"\n'
    assert _request(engine, query="SELECT 1 AS a, 'x' AS b FORMAT CSVWithNames")[1] == b'"a","b"\n1,"x"\n'
    assert _request(engine, query="SELECT 1", default_format="JSONCompactEachRow")[1] == b"[1]\n"
    status, body, headers = _request(engine, query="SELECT number AS n FROM numbers(200000) FORMAT JSON")
    assert (status, headers["X-ClickHouse-Format"], headers["Content-Type"][:16]) == (
        200,
        "JSON",
        "application/json",
    )
    answer = json.loads(body)
    assert (answer["rows"], answer["meta"]) == (200_000, [{"name": "n", "type": "UInt64"}])
    assert _request(engine, b"SELECT 7")[1] == b"7\n"
    assert _request(engine, b"+ 1", query="SELECT 7")[1] == b"8\n"


def test_parameters_and_settings_in_the_address(engine: EngineProcess):
    assert _request(engine, query="SELECT {x:UInt8} * 2", param_x="21")[1] == b"42\n"
    assert _request(engine, query="SELECT getSetting('max_block_size')", max_block_size="77")[1] == b"77\n"
    assert _request(engine, query="SELECT count() > 0 FROM tables", database="system")[1] == b"1\n"
    status, body, headers = _request(engine, query="SELECT 1", no_such_setting="1")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "115")
    assert b"no_such_setting" in body


def test_who_may_enter(engine: EngineProcess):
    basic = "Basic " + base64.b64encode(f"default:{PASSWORD}".encode()).decode()
    assert _request(engine, headers={"Authorization": basic}, query="SELECT 1")[0] == 200
    assert _request(engine, headers={}, query="SELECT 1", user="default", password=PASSWORD)[0] == 200
    for headers in (
        {},
        {"Authorization": "Basic !"},
        {"X-ClickHouse-User": "default", "X-ClickHouse-Key": "x"},
    ):
        status, body, answered = _request(engine, headers=headers, query="SELECT 1")
        assert (status, answered["X-ClickHouse-Exception-Code"]) == (401, "516")
        assert PASSWORD.encode() not in body
    for path in ("", "ping"):
        with urllib.request.urlopen(f"http://127.0.0.1:{engine.http_port}/{path}") as response:
            assert response.read() == b"Ok.\n"


def test_inserts_as_curl_sends_them(engine: EngineProcess):
    for statement in (
        "DROP TABLE IF EXISTS curl",
        "CREATE TABLE curl (n Int32, s String) ENGINE = MergeTree ORDER BY n",
        "INSERT INTO curl VALUES (1, 'it''s; FORMAT x')",
        'INSERT INTO curl FORMAT JSONEachRow {"n": 2, "s": "two"}\n{"n": 3, "s": "thrée"}',
        "INSERT INTO curl (s, n) FORMAT CSV\nfour,4\n",
    ):
        status, body, headers = _request(engine, statement.encode())
        assert (status, body, headers["X-ClickHouse-Format"]) == (200, b"", None)
    _request(engine, b"5\tfive\n", query="INSERT INTO curl FORMAT TSV")
    _request(engine, b"(6, 'six'), (7, 'seven')", query="INSERT INTO curl VALUES")
    native = _request(engine, query="SELECT toInt32(8) AS n, 'line\nbreak' AS s FORMAT Native")[1]
    assert _request(engine, native, query="INSERT INTO curl FORMAT Native")[0] == 200
    assert _request(engine, query="SELECT * FROM curl ORDER BY n FORMAT JSONCompactEachRow")[
        1
    ].decode().splitlines() == [
        '[1, "it\'s; FORMAT x"]',
        '[2, "two"]',
        '[3, "thrée"]',
        '[4, "four"]',
        '[5, "five"]',
        '[6, "six"]',
        '[7, "seven"]',
        '[8, "line\\nbreak"]',
    ]


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("lz4", lz4.frame.compress), ("zstd", cramjam.zstd.compress)],
)
def test_packed_bodies(engine: EngineProcess, encoding: str, pack: Any):
    headers = {"X-ClickHouse-User": "default", "X-ClickHouse-Key": PASSWORD, "Content-Encoding": encoding}
    assert _request(engine, bytes(pack(b"SELECT 1 + 1")), headers)[1] == b"2\n"
    status, body, _ = _request(engine, b"no such thing", headers)
    assert (status, encoding.encode() in body) == (500, True)
    assert _request(engine, bytes(pack(b"SELECT 1 + 1"))[:-5], headers)[0] == 500


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("lz4", lz4.frame.compress), ("zstd", cramjam.zstd.compress)],
)
def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch, encoding: str, pack: Any):
    monkeypatch.setattr(http_front, "MAX_BODY_BYTES", 100_000)
    assert http_front._unpacked(bytes(pack(bytes(100_000))), encoding) == bytes(100_000)
    with pytest.raises(EngineError):
        http_front._unpacked(bytes(pack(bytes(100_001))), encoding)


def test_gzip_members_follow_each_other(engine: EngineProcess):
    headers = {"X-ClickHouse-User": "default", "X-ClickHouse-Key": PASSWORD, "Content-Encoding": "gzip"}
    assert _request(engine, gzip.compress(b"SELECT ") + gzip.compress(b"1 + 1"), headers)[1] == b"2\n"


def test_a_get_changes_nothing(engine: EngineProcess):
    status, _, headers = _request(engine, query="CREATE TABLE by_get (n UInt8) ENGINE = Memory")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "164")


def test_the_query_of_a_client_that_went_is_ended(engine: EngineProcess):
    watcher = engine.client()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", engine.http_port)) as client:
        client.request(
            "POST",
            "/",
            b"SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1",
            {"X-ClickHouse-User": "default", "X-ClickHouse-Key": PASSWORD},
        )
        wait_for(lambda: is_running(watcher, "sipHash64"))
    wait_for(lambda: not is_running(watcher, "sipHash64"))
