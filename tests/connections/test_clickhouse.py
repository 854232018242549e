"""The ClickHouse client in a host program: what it writes to the host's log, and that it can be bound to reading."""

from __future__ import annotations

import dataclasses
import socket

import pytest
from clickhouse_driver.errors import NetworkError, ServerException

from parallelm.connections import ClickHouseSettings, Settings
from parallelm.connections.clickhouse import clickhouse_client


def test_a_server_that_is_away_is_one_line_in_the_log_without_traceback(caplog: pytest.LogCaptureFixture):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers there
        client = clickhouse_client(ClickHouseSettings(port=taken.getsockname()[1]))
        with pytest.raises(NetworkError):
            client.execute("SELECT 1")
    assert "Failed to connect" in caplog.text
    assert "Traceback" not in caplog.text


def test_settings_that_only_read_change_nothing_even_for_the_administrator(settings: Settings):
    own = settings.clickhouse
    with clickhouse_client(own, database="default") as admin:
        admin.execute(f"CREATE DATABASE {own.database}")
    with clickhouse_client(own) as admin:
        admin.execute("CREATE TABLE t (n Int32) ENGINE = MergeTree ORDER BY n")
        admin.execute("INSERT INTO t VALUES", [(1,)])

    with clickhouse_client(dataclasses.replace(own, read_only=True)) as reader:
        for statement in (
            "DROP TABLE t",
            "INSERT INTO t SELECT 2",
            "INSERT INTO t SELECT 2 SETTINGS readonly = 0",
            "SET readonly = 0",
        ):
            with pytest.raises(ServerException, match="readonly"):
                reader.execute(statement)
            with pytest.raises(ServerException, match="readonly"):
                reader.execute(statement, settings={"readonly": 0})
        with pytest.raises(ServerException, match="readonly"):
            reader.execute("INSERT INTO t VALUES", [(2,)])
        assert reader.execute("SELECT n FROM t", settings={"max_threads": 1}) == [(1,)]
        reader.disconnect()
        assert list(reader.execute_iter("SELECT n FROM t")) == [(1,)]
        with pytest.raises(ServerException, match="readonly"):
            reader.execute("TRUNCATE TABLE t")
