"""The user who may only read: what it may not do, what it needs to do, and that every ``get_…`` call works for it."""

from __future__ import annotations

import dataclasses
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from clickhouse_driver.errors import ServerException

from parallelm.connections import ClickHouseSettings, Settings, save_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.mlops import MLOps
from parallelm.warehouse import migrate

from .conftest import PASSWORD, running_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import EngineProcess

READER = {"user": "reader", "password": "only looks"}
READONLY = 164
HTTP_OK = 200
YEAR = (datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    folder = tmp_path_factory.mktemp("guarded")
    with running_engine(
        folder, "--reader-user", READER["user"], "--reader-password", READER["password"]
    ) as engine:
        engine.client().execute("CREATE TABLE t (n Int32) ENGINE = MergeTree ORDER BY n")
        engine.client().execute("INSERT INTO t VALUES", [(1,), (2,)])
        yield engine


def test_it_reads(guarded: EngineProcess) -> None:
    reader = guarded.client(**READER)
    assert reader.execute("SELECT sum(n) FROM t") == [(3,)]
    assert ("t",) in reader.execute("SHOW TABLES")


WRITES = [
    "INSERT INTO t SELECT 3",
    "WITH 3 AS x INSERT INTO t SELECT x",
    "INSERT INTO t FROM INFILE '{folder}/secret.csv' FORMAT CSV",
    "DROP TABLE t",
    "TRUNCATE TABLE t",
    "RENAME TABLE t TO v",
    "OPTIMIZE TABLE t FINAL",
    "ALTER TABLE t DELETE WHERE 1",
    "DELETE FROM t WHERE 1",
    "UPDATE t SET n = 9 WHERE 1",
    "CREATE TABLE u (n Int32) ENGINE = MergeTree ORDER BY n",
    "CREATE OR REPLACE VIEW v AS SELECT 1",
    "CREATE DATABASE d",
    "CREATE FUNCTION f AS x -> x",
    "CREATE DICTIONARY d (n UInt64) PRIMARY KEY n SOURCE(NULL()) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE USER somebody",
    "GRANT ALL ON *.* TO default",
    "ATTACH TABLE t",
    "DETACH TABLE t",
    "UNDROP TABLE t",
    "BACKUP TABLE t TO File('{folder}/backup')",
    "SYSTEM STOP MERGES",
    "SYSTEM SHUTDOWN",
    "KILL QUERY WHERE 1",
    "EXECUTE AS default DROP TABLE t",
    "INSERT INTO t SELECT 1 SETTINGS readonly = 0",
    "INSERT INTO t SELECT * FROM (SELECT 1 SETTINGS readonly = 0)",
    "INSERT INTO t SETTINGS readonly = 0 SELECT 1",
    "CREATE TEMPORARY TABLE a (n Int8) PARALLEL WITH SYSTEM STOP MERGES",
    "SET readonly = 0",
    "SET allow_ddl = 1, readonly = 0",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 INTO OUTFILE '{folder}/out'",
    "(SELECT 1) INTO/**/OUTFILE '{folder}/out' TRUNCATE",
    "INSERT INTO FUNCTION file('{folder}/out', 'CSV', 'n Int8') SELECT 1",
    "INSERT INTO TABLE FUNCTION remote('127.0.0.1:1', 'default', 't') SELECT 1",
    "CREATE TEMPORARY TABLE f (n Int8) ENGINE = File('CSV', '{folder}/out')",
    "CREATE TEMPORARY TABLE f ENGINE URL('http://127.0.0.1:1/', 'CSV') AS SELECT 1",
]
READS_OUTSIDE = [
    "SELECT * FROM file('{folder}/secret.csv')",
    "SELECT * FROM `file` ('{folder}/secret.csv')",
    "SELECT * FROM file/* ( */('{folder}/secret.csv')",
    "SELECT file('{folder}/secret.csv')",
    "SELECT `fi\\x6ce`('{folder}/secret.csv')",
    "SELECT * FROM '\\x2fetc\\x2fpasswd'",
    "SELECT * FROM {{name:Identifier}}",
    "SELECT $$'$$, file('{folder}/secret.csv'), ''",
    "SELECT \u2018'\u2019, file('{folder}/secret.csv'), ''",
    "SELECT /* /* */ ' */ file('{folder}/secret.csv') --'",
    "SELECT file\u200b('{folder}/secret.csv')",
    "SELECT * FROM '{folder}/secret.csv'",
    "SELECT * FROM `{folder}/secret.csv`",
    'SELECT * FROM default."{folder}/secret.csv"',
    "SELECT * FROM t, '{folder}/secret.csv'",
    "SELECT * FROM (SELECT 1) AS a JOIN `{folder}/secret.csv` AS b ON 1 = 1",
    "SELECT 1 IN `{folder}/secret.csv`",
    "SELECT * FROM $$ $$ JOIN '{folder}/secret.csv' USING n",
    "CREATE TEMPORARY TABLE a AS `{folder}/secret.csv`",
    "DESCRIBE TABLE '{folder}/secret.csv'",
    "EXPLAIN SELECT * FROM file('{folder}/secret.csv')",
    "SELECT * FROM filesystem('{folder}')",
    "SELECT * FROM url('http://127.0.0.1:1/x', 'CSV', 'n Int32')",
    "SELECT * FROM s3('http://127.0.0.1:1/bucket/x', 'CSV', 'n Int32')",
    "SELECT * FROM remote('127.0.0.1:1', 'default', 't')",
    "SELECT * FROM loop('default', '{folder}/secret.csv')",
    "SELECT * FROM sqlite('{folder}/secret.csv', 't')",
    "SELECT * FROM python(somebody)",
]


@pytest.mark.parametrize("statement", WRITES + READS_OUTSIDE)
def test_it_changes_nothing_and_reads_nothing_outside(
    guarded: EngineProcess, tmp_path: Path, statement: str
) -> None:
    (tmp_path / "secret.csv").write_text("4711\n")
    statement = statement.format(folder=tmp_path)
    answers = []
    with pytest.raises(
        ServerException, match="may only read: to write, connect as the administrator"
    ) as refused:
        answers.append(guarded.client(**READER).execute(statement))
    assert refused.value.code == READONLY, answers
    assert str(refused.value).count("DB::Exception") == 1
    for method in ("GET", "POST"):
        status, body = _over_http(guarded, method, statement)
        assert status != HTTP_OK
        assert b"may only read: to write, connect as the administrator" in body
        assert b"4711" not in body
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]
    assert guarded.client().execute("SELECT sum(n) FROM t") == [(3,)]
    assert guarded.client().execute("SHOW TABLES") == [("t",)]


@pytest.mark.parametrize(
    "change",
    [
        lambda reader: reader.execute("INSERT INTO t VALUES", [(3,)]),
        lambda reader: reader.execute("SELECT 1", settings={"readonly": 0}),
        lambda reader: [reader.execute("SET max_threads = 1"), reader.execute("DROP TABLE t")],
        lambda reader: [reader.execute("SET profile = 'default'"), reader.execute("INSERT INTO t SELECT 3")],
    ],
)
def test_no_insert_and_no_setting_lets_it_write(guarded: EngineProcess, change: Callable[[Any], Any]) -> None:
    with pytest.raises(ServerException, match="may only read") as refused:
        change(guarded.client(**READER))
    assert refused.value.code == READONLY
    assert guarded.client().execute("SELECT sum(n) FROM t") == [(3,)]


@pytest.mark.parametrize("statement", ["SELECT 1; DROP TABLE t", "EXPLAIN ANALYZE INSERT INTO t SELECT 3"])
def test_a_second_statement_and_one_that_is_explained_do_nothing(
    guarded: EngineProcess, statement: str
) -> None:
    with pytest.raises(ServerException):
        guarded.client(**READER).execute(statement)
    assert _over_http(guarded, "POST", statement)[0] != HTTP_OK
    assert guarded.client().execute("SELECT sum(n) FROM t") == [(3,)]


def test_what_an_analyst_needs_is_allowed(guarded: EngineProcess) -> None:
    guarded.client().execute("CREATE OR REPLACE VIEW above AS SELECT n FROM t WHERE n > {least:Int32}")
    reader = guarded.client(**READER)
    try:
        assert reader.execute("SELECT * FROM above(least = 1)") == [(2,)]
        assert reader.execute("SELECT getSetting('max_threads')", settings={"max_threads": 1}) == [(1,)]
        assert reader.execute("SELECT getSetting('max_threads') SETTINGS max_threads = 3") == [(3,)]
        reader.execute("SET max_block_size = 1000")
        assert reader.execute("SELECT getSetting('max_block_size')") == [(1000,)]
        assert reader.execute("SELECT 1", settings={"readonly": 2}) == [(1,)]
        assert reader.execute("SELECT 1", settings={"readonly": 1}) == [(1,)]
        assert reader.execute("SELECT 1") == [(1,)]
        reader.execute("CREATE TEMPORARY TABLE mine AS SELECT n * 2 AS n FROM t")
        reader.execute("INSERT INTO mine VALUES", [(100,)])
        assert reader.execute("SELECT sum(n) FROM mine") == [(106,)]
        reader.execute("DROP TEMPORARY TABLE mine")
        assert reader.execute("EXPLAIN SYNTAX SELECT 1")
        assert reader.execute("EXPLAIN SELECT n FROM t")
        assert reader.execute("SELECT count() FROM numbers(5) AS a, generate_series(1, 2) AS b") == [(10,)]
        assert reader.execute(
            "WITH x AS (SELECT 1 AS n) SELECT n FROM x UNION ALL FROM t SELECT n ORDER BY n"
        )
        said = "SELECT 'INTO OUTFILE', 'file(', '/etc/passwd', concat('a', '/b') AS \"a/b\", splitByChar('/', 'c/d')"
        assert reader.execute(f"{said} FROM t WHERE '/x' != '/y' AND 'a/b' IN ('a/b', 'c/d') LIMIT 1")
        assert reader.execute("SHOW CREATE TABLE t")
        assert reader.execute("DESCRIBE TABLE t")
        assert reader.execute("EXISTS TABLE t") == [(1,)]
        assert ("t",) in reader.execute("SELECT name FROM system.tables WHERE database = 'default'")
        assert _over_http(guarded, "GET", "SELECT sum(n) FROM t FORMAT JSONCompact")[0] == HTTP_OK
        assert _over_http(guarded, "POST", "SELECT 1", max_threads="1", readonly="2") == (HTTP_OK, b"1\n")
    finally:
        guarded.client().execute("DROP VIEW above")


def test_a_query_may_bind_itself_to_reading_and_the_session_goes_on_as_before(guarded: EngineProcess) -> None:
    writer = guarded.client()
    with pytest.raises(ServerException, match="readonly mode"):
        writer.execute("INSERT INTO t SELECT 3", settings={"readonly": 2})
    assert writer.execute("SELECT sum(n) FROM t", settings={"readonly": 2}) == [(3,)]
    writer.execute("CREATE TABLE passing (n Int8) ENGINE = Memory")
    writer.execute("DROP TABLE passing")


def test_a_client_that_binds_itself_to_reading_serves_it(guarded: EngineProcess) -> None:
    bound = ClickHouseSettings(port=guarded.port, database="default", read_only=True, **READER)
    with clickhouse_client(bound) as reader:
        assert reader.execute("SELECT sum(n) FROM t") == [(3,)]
        with pytest.raises(ServerException, match="may only read"):
            reader.execute("DROP TABLE t")


def test_a_wrong_password_of_it_is_refused(guarded: EngineProcess) -> None:
    for wrong in ({"user": "reader", "password": PASSWORD}, {"user": "default", "password": "only looks"}):
        with pytest.raises(ServerException, match="Authentication failed"):
            guarded.client(**wrong).execute("SELECT 1")


def _over_http(engine: EngineProcess, method: str, query: str, **settings: str) -> tuple[int, bytes]:
    url = (
        f"http://127.0.0.1:{engine.http_port}/?{urllib.parse.urlencode(READER | {'query': query} | settings)}"
    )
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - a URL of this test
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_every_question_of_a_component_is_answered_to_it(
    guarded: EngineProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings()
    clickhouse = dataclasses.replace(
        settings.clickhouse, port=guarded.port, password=PASSWORD, database="asked"
    )
    settings = dataclasses.replace(
        settings,
        clickhouse=clickhouse,
        component=dataclasses.replace(settings.component, outbox_folder=str(tmp_path / "outbox")),
    )
    migrate(settings)
    save_settings(settings, tmp_path / "profile.toml")
    monkeypatch.setenv("MCENTER_CONFIG", str(tmp_path / "profile.toml"))
    monkeypatch.setenv("PM_MLOPS_MODEL_ID", "m1")
    mlops = MLOps()
    monkeypatch.setenv("MCENTER_CLICKHOUSE_USER", READER["user"])
    monkeypatch.setenv("MCENTER_CLICKHOUSE_PASSWORD", READER["password"])
    mlops.attach("app")
    try:
        assert mlops.get_mlapp_name() == "app"
        assert mlops.get_mlapp_policy() is None
        assert mlops.get_nodes() == []
        assert mlops.current_model() is mlops.get_last_approved_model() is None
        assert mlops.get_events() is None
        for frame in (
            mlops.get_stats("s", None, None, *YEAR),
            mlops.get_kpi("k", *YEAR),
            mlops.get_models_by_time(*YEAR),
            mlops.get_model_by_id("m1"),
            mlops.get_data_distribution_stats("m1"),
        ):
            assert frame is not None
            assert frame.empty
    finally:
        mlops.done()
