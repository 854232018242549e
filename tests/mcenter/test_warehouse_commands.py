"""``mcenter query``, ``mcenter warehouse`` and what the doctor says of the warehouse, on the real engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from parallelm.connections import Settings, save_settings
from parallelm.mcenter.cli import cli
from parallelm.warehouse import migrate, server_version

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Result]


@pytest.fixture
def run(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs ``mcenter`` with this test's settings, whose one user may write."""
    file = tmp_path / "mcenter.toml"
    save_settings(settings, file)
    monkeypatch.setenv("MCENTER_CONFIG", str(file))
    migrate(settings)
    return lambda *arguments: CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_a_query_writes_only_when_it_is_asked_to(run: Run) -> None:
    refused = run("query", "DROP VIEW kpi_correlation")
    assert refused.exit_code == 1
    assert "readonly mode" in refused.output
    assert "Access is read-only here; to change the warehouse, use `mcenter query --write" in refused.output
    assert "kpi_correlation" in run("query", "SHOW TABLES").output
    assert run("query", "SELECT 1 AS one SETTINGS max_threads = 1").exit_code == 0

    assert run("query", "--write", "DROP VIEW kpi_correlation").exit_code == 0
    assert "kpi_correlation" not in run("query", "SHOW TABLES").output


def test_a_dropped_view_is_named_by_all_who_look_and_put_back(run: Run) -> None:
    assert run("warehouse", "status").exit_code == 0
    assert run("query", "--write", "DROP VIEW kpi_correlation").exit_code == 0
    for command in (("warehouse", "status"), ("warehouse", "migrate")):
        found = run(*command)
        assert found.exit_code == 1
        assert "view kpi_correlation is missing. `mcenter warehouse repair` puts it back" in found.output
    assert said_by_the_doctor(run) == [
        ["problem", "view kpi_correlation is missing", "`mcenter warehouse repair` puts it back"]
    ]

    repaired = run("warehouse", "repair")
    assert repaired.exit_code == 0
    assert "restored view kpi_correlation\n" in repaired.output
    assert said_by_the_doctor(run)[0][0] == "ok"
    assert run("warehouse", "status").exit_code == 0


def test_a_changed_and_a_missing_table_stay_until_they_are_named(run: Run) -> None:
    run("query", "--write", "ALTER TABLE kpis ADD COLUMN extra String")
    run("query", "--write", "DROP TABLE actions SYNC")
    left = run("warehouse", "repair")
    assert left.exit_code == 1
    assert "table kpis is altered: + `extra` String" in left.output
    assert "table actions is missing: its rows are lost" in left.output
    assert [verdict for verdict, *_ in said_by_the_doctor(run)] == ["problem", "problem"]

    settled = run("warehouse", "repair", "--accept", "kpis", "--make-empty", "actions")
    assert settled.exit_code == 0, settled.output
    assert said_by_the_doctor(run)[0][0] == "ok"
    assert run("warehouse", "repair", "--accept", "nonsense").exit_code == 1


def test_an_old_server_is_refused_by_commands_and_named_by_the_doctor(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_version, "MINIMUM", (99, 1))
    for command in ("migrate", "status", "repair"):
        refused = run("warehouse", command)
        assert refused.exit_code == 1
        assert "is too old: the warehouse needs 99.1 or newer. Upgrade the server first" in refused.output
    [check] = [check for check in checks(run) if check["name"] == "clickhouse"]
    assert check["verdict"] == "problem"
    assert "the warehouse needs 99.1 or newer" in check["remedy"]
    assert said_by_the_doctor(run) == []


def checks(run: Run) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(run("doctor", "--json", "--timeout", "60").stdout)["checks"]
    return found


def said_by_the_doctor(run: Run) -> list[list[str]]:
    return [
        [check["verdict"], check["finding"], check["remedy"]]
        for check in checks(run)
        if check["name"] == "warehouse"
    ]
