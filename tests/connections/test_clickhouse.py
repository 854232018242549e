"""The ClickHouse client in a host program: what it writes to the host's log."""

from __future__ import annotations

import socket

import pytest
from clickhouse_driver.errors import NetworkError

from parallelm.connections import ClickHouseSettings
from parallelm.connections.clickhouse import clickhouse_client


def test_a_server_that_is_away_is_one_line_in_the_log_without_traceback(caplog: pytest.LogCaptureFixture):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers there
        client = clickhouse_client(ClickHouseSettings(port=taken.getsockname()[1]))
        with pytest.raises(NetworkError):
            client.execute("SELECT 1")
    assert "Failed to connect" in caplog.text
    assert "Traceback" not in caplog.text
