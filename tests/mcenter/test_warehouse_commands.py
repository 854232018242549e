"""``mcenter query``, ``mcenter warehouse`` and what the doctor says of the warehouse, on the real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from parallelm.connections import Settings, save_settings
from parallelm.mcenter.cli import cli
from parallelm.warehouse import migrate

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
    assert "This only reads; what changes the warehouse asks for it: `mcenter query --write" in refused.output
    assert "kpi_correlation" in run("query", "SHOW TABLES").output
    assert run("query", "SELECT 1 AS one SETTINGS max_threads = 1").exit_code == 0

    assert run("query", "--write", "DROP VIEW kpi_correlation").exit_code == 0
    assert "kpi_correlation" not in run("query", "SHOW TABLES").output
