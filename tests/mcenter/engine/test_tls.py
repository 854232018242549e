"""The local server with a certificate: both protocols over TLS, and what a client is told that trusts another authority."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from clickhouse_driver import errors

from parallelm.connections import ClickHouseSettings
from parallelm.connections.clickhouse import clickhouse_client
from tests.certificates import Authority
from tests.mcenter.engine.conftest import PASSWORD, EngineProcess, is_running, running_engine
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[EngineProcess]:
    certificate = authority.issue("clickhouse")
    arguments = ("--tls-certificate", str(certificate.certificate), "--tls-key", str(certificate.key))
    with running_engine(tmp_path_factory.mktemp("engine"), *arguments) as running:
        yield running


def settings(engine: EngineProcess, authority: Authority) -> ClickHouseSettings:
    return ClickHouseSettings(
        port=engine.port, password=PASSWORD, database="default", secure=True, ca_certs=str(authority.file)
    )


def test_tables_are_written_and_read_over_tls(engine: EngineProcess, authority: Authority):
    with clickhouse_client(settings(engine, authority)) as client:
        client.execute("CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
        client.execute("INSERT INTO t VALUES", [(number, "x" * 500) for number in range(20_000)])
        assert client.execute("SELECT count(), sum(a), sum(length(b)) FROM t") == [
            (20_000, 199_990_000, 10_000_000)
        ]
        assert len(client.execute("SELECT * FROM t")) == 20_000


def test_a_statement_is_cancelled_over_tls(engine: EngineProcess, authority: Authority):
    with (
        clickhouse_client(settings(engine, authority)) as client,
        clickhouse_client(settings(engine, authority)) as watcher,
    ):
        rows = client.execute_iter(
            "SELECT number AS cancelled FROM numbers(100000000000) WHERE number % 9 = 1"
        )
        next(rows)
        client.cancel()
        client.disconnect()
        wait_for(lambda: not is_running(watcher, "AS cancelled"), "the statement ends")


def test_the_http_interface_speaks_tls_too(engine: EngineProcess, authority: Authority):
    client = engine.http_client(secure=True, ca_cert=str(authority.file))
    assert client.query("SELECT 1 + 1").result_rows == [(2,)]
    client.close()


def test_an_unknown_authority_and_a_client_without_tls_are_refused(
    engine: EngineProcess, authority: Authority, tmp_path: Path
):
    stranger = Authority(tmp_path, "stranger")
    with (
        clickhouse_client(settings(engine, stranger)) as client,
        pytest.raises(errors.NetworkError, match="certificate verify failed"),
    ):
        client.execute("SELECT 1")
    with socket.create_connection(("127.0.0.1", engine.port), timeout=60) as plain:
        plain.sendall(b"\x00\x03abc")
        assert plain.recv(100)[:1] != b"\x02", "an answer in ClickHouse's protocol"
    with clickhouse_client(settings(engine, authority)) as client:
        assert client.execute("SELECT 1") == [(1,)], "others are not disturbed"
