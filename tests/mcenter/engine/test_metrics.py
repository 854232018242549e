"""What the engine tells Prometheus and the log."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import pytest
from clickhouse_driver import errors

from parallelm.supervision.ports import choose_ports
from tests.waiting import wait_for

from .conftest import running_engine

if TYPE_CHECKING:
    from pathlib import Path


def test_metrics_are_served_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    port = choose_ports({"metrics": None}, {})["metrics"]
    monkeypatch.setenv("MCENTER_METRICS_PORT", str(port))

    def told() -> list[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
            return response.read().decode().splitlines()

    with running_engine(tmp_path) as engine:
        client = engine.client()
        client.execute("CREATE TABLE t (n UInt8) ENGINE = Memory")
        client.execute("INSERT INTO t VALUES", [(1,), (2,)])
        with pytest.raises(errors.ServerException):
            engine.client().execute("SELECT * FROM missing")
        # The second client has hung up; the engine may need a moment to see it.
        wait_for(lambda: 'mcenter_engine_clients{protocol="native"} 1.0' in told())
        assert {
            "mcenter_engine_inserted_rows_total 2.0",
            'mcenter_engine_errors_total{code="60"} 1.0',
        } <= set(told())
