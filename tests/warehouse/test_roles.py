"""Roles: each has what it needs and no more, in statements that ClickHouse takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from parallelm.connections import save_settings
from parallelm.mcenter.cli import cli
from parallelm.sinks.tables import STORED_TOPICS, counted_in
from parallelm.warehouse.catalogue import catalogue
from parallelm.warehouse.roles import role_statements

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_driver import Client

    from parallelm.connections import Settings

WRITTEN = [counted_in(topic) for topic in STORED_TOPICS]
GRANT = re.compile(r"GRANT(?: ON CLUSTER \S+)? (.+) ON (\S+) TO (\w+)")


def rights(statements: list[str], role: str) -> dict[str, set[str]]:
    """Where to what, of one role."""
    found: dict[str, set[str]] = {}
    for statement in statements:
        match = GRANT.fullmatch(statement)
        if match and match[3] == role:
            found.setdefault(match[2], set()).update(match[1].split(", "))
    return found


@pytest.mark.parametrize("cluster", ["", "prod"])
def test_the_engine_takes_every_statement(settings: Settings, client: Client, cluster: str) -> None:
    """The packaged engine has no access management: what it can do is parse them."""
    for statement in role_statements(settings.clickhouse.database, catalogue(settings), WRITTEN, cluster):
        [(formatted,)] = client.execute("SELECT formatQuery(%(statement)s)", {"statement": statement})
        assert ("ON CLUSTER" in formatted) is bool(cluster)


@pytest.mark.usefixtures("client")
def test_a_reader_writes_nowhere_and_a_writer_only_where_sinks_write(settings: Settings) -> None:
    name = settings.clickhouse.database
    statements = role_statements(name, catalogue(settings), WRITTEN)
    reader = rights(statements, "mcenter_reader")
    assert set().union(*reader.values()) == {"SELECT", "SHOW"}
    writer = rights(statements, "mcenter_writer")
    inserted = {place for place, allowed in writer.items() if "INSERT" in allowed}
    assert inserted == {
        f"`{name}`.`{table}`" for table in {*WRITTEN, "statistics_by_day_state", "histograms"}
    }
    assert set().union(*writer.values()) == {"SELECT", "SHOW", "INSERT"}
    assert all(place.startswith(("system.", f"`{name}`")) for place in writer)
    assert "ALTER" in rights(statements, "mcenter_admin")[f"`{name}`.*"]


@pytest.mark.usefixtures("client")
def test_the_command_prints_them(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "mcenter.toml"
    save_settings(settings, config)
    monkeypatch.setenv("MCENTER_CONFIG", str(config))
    printed = CliRunner().invoke(cli, ["warehouse", "roles"])
    assert printed.exit_code == 0, printed.output
    assert printed.output.startswith("CREATE ROLE IF NOT EXISTS mcenter_reader;\n")
    assert f"GRANT INSERT ON `{settings.clickhouse.database}`.`kpis` TO mcenter_writer;" in printed.output
