"""A migration that changes what is there: on an empty database and on one that holds rows, also when it is cut short."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from clickhouse_driver import errors

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse import drift, migrate, migrations, queries, status
from parallelm.warehouse.migrations import Migration, packaged_migrations
from tests.warehouse.rows import T0_MS, insert, kpi, statistic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_driver import Client

    from parallelm.connections import Settings

CHANGES = """\
-- Units of KPIs, and series by the machine they ran on.

ALTER TABLE kpis ${on_cluster} ADD COLUMN IF NOT EXISTS unit LowCardinality(String) DEFAULT 'none' COMMENT 'Unit.' AFTER name;

ALTER TABLE kpis ${on_cluster} MODIFY COLUMN source String COMMENT 'Where it comes from.' CODEC(ZSTD(3));

ALTER TABLE statistics ${on_cluster} ADD INDEX IF NOT EXISTS by_host agent_id TYPE set(100) GRANULARITY 4;

CREATE OR REPLACE VIEW alerts_open ${on_cluster} AS
SELECT alert_id FROM alerts_current WHERE fired_at <= {at:DateTime64(3, 'UTC')}
COMMENT 'Alerts that were firing at a moment.';
"""


def with_a_later_one(monkeypatch: pytest.MonkeyPatch, text: str) -> Migration:
    packaged = packaged_migrations()
    later = Migration(len(packaged) + 1, "units", text)
    monkeypatch.setattr(migrations, "packaged_migrations", lambda: [*packaged, later])
    return later


@pytest.fixture
def empty(settings: Settings) -> Iterator[Settings]:
    """Settings of a second database that does not exist yet."""
    name = f"{settings.clickhouse.database}_empty"
    yield dataclasses.replace(settings, clickhouse=dataclasses.replace(settings.clickhouse, database=name))
    with clickhouse_client(settings.clickhouse, database="default") as client:
        client.execute(f"DROP DATABASE IF EXISTS {name}")


def test_it_changes_a_filled_and_an_empty_database_alike(
    settings: Settings, client: Client, empty: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(client, "kpis", [kpi("k", T0_MS, 1.0), kpi("k", T0_MS + 1, 2.0)])
    insert(client, "statistics", [statistic("s", T0_MS, 3.0)])
    later = with_a_later_one(monkeypatch, CHANGES)
    assert status(settings).pending == (later,)
    assert migrate(settings) == [later]
    assert migrate(empty)[-1] == later
    assert drift(settings) == drift(empty) == []

    assert client.execute("SELECT value, unit FROM kpis ORDER BY value") == [(1.0, "none"), (2.0, "none")]
    assert queries.kpis(settings, "k")["value"].tolist() == [1.0, 2.0]
    assert queries.statistics_rollup(settings, "1d", "s")["samples"].tolist() == [1]
    forms = "SELECT name, create_query FROM schema_objects WHERE name IN ('kpis', 'statistics', 'alerts_open') AND version = %(v)s ORDER BY name"
    with clickhouse_client(empty.clickhouse) as other:
        made = [
            [(name, text.replace(each.clickhouse.database, "db")) for name, text in rows]
            for each, rows in (
                (settings, client.execute(forms, {"v": later.version})),
                (empty, other.execute(forms, {"v": later.version})),
            )
        ]
    assert made[0] == made[1]
    assert [name for name, _ in made[0]] == ["alerts_open", "kpis", "statistics"]


def test_one_that_fails_half_way_is_not_recorded_and_runs_again_once_it_is_mended(
    settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(client, "kpis", [kpi("k", T0_MS, 1.0)])
    broken = with_a_later_one(monkeypatch, CHANGES.replace("TYPE set(100)", "TYPE no_such_index"))
    with pytest.raises(errors.ServerException, match="no_such_index"):
        migrate(settings)
    assert status(settings).pending == (broken,)
    monkeypatch.undo()
    whole = with_a_later_one(monkeypatch, CHANGES)
    assert migrate(settings) == [whole]
    assert client.execute("SELECT value, unit FROM kpis") == [(1.0, "none")]
    assert drift(settings) == []
    assert migrate(settings) == []
