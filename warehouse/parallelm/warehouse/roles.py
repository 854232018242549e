"""Roles on a ClickHouse server with the least rights that each needs, as SQL for its administrator.

``mcenter_reader`` is the server's and operators', ``mcenter_analyst`` asks what is of MLApps, ``mcenter_writer`` is the sinks',
``mcenter_admin`` migrates, and backs up and restores. An analyst and a reader of one MLApp have row policies besides: views ask with the
rights of whoever asks, so that it is enough that tables have them. The server of the local stack has no access management; its two users
have the rights of reader and admin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse.backup import text_literal
from parallelm.warehouse.cluster import local_table, on_cluster
from parallelm.warehouse.erasure import COLUMNS_OF_MLAPPS, KEPT, OF_LETTERS, stored_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from parallelm.connections import Settings

_SYSTEM_TABLES = ("tables", "columns", "databases", "settings", "clusters")
"""What the queries and checks of this code read of ``system``; the server shows only what the user may see."""
OPERATORS_TABLES: Final = frozenset({"actions", OF_LETTERS, "ingested_blocks"})
"""The audit log and what operators see: rows of no analyst."""
_ANALYST: Final = "mcenter_analyst"
_EVERYBODY: Final = "mcenter_reader, mcenter_writer, mcenter_admin"


def role_statements(database: str, written: Iterable[str], cluster: str = "") -> list[str]:
    """SQL that makes the roles for all MLApps; ``written`` are the tables that the sinks insert into.

    What materialized views fill is filled with the rights of the view, not of whoever inserts. Running it again changes
    nothing.
    """
    place = _quoted(database)
    inserted = sorted({local_table(table, cluster) for table in written})
    grants = {
        "mcenter_reader": [f"SELECT, SHOW ON {place}.*"],
        _ANALYST: [f"SELECT, SHOW ON {place}.*"],
        "mcenter_writer": [
            f"SELECT ON {place}.`schema_migrations`",
            *(f"SELECT, INSERT ON {place}.{_quoted(name)}" for name in inserted),
        ],
        "mcenter_admin": [f"SELECT, INSERT, ALTER, CREATE, DROP, BACKUP, SHOW ON {place}.*"],
    }
    if cluster:
        # Distributed tables are connections to other servers.
        grants["mcenter_admin"] += ["CLUSTER, REMOTE ON *.*"]
        grants["mcenter_writer"] += [f"SYSTEM SYNC REPLICA ON {place}.{_quoted(name)}" for name in inserted]
    where = f" {on_cluster(cluster)}" if cluster else ""
    statements = [f"CREATE ROLE IF NOT EXISTS {role}{where}" for role in grants]
    for role, rights in grants.items():
        rights += [f"SELECT ON system.{table}" for table in _SYSTEM_TABLES]
        statements += [f"GRANT{where} {right} TO {role}" for right in rights]
    return statements + _policies(database, cluster, _ANALYST, dict.fromkeys(sorted(OPERATORS_TABLES), "0"))


def reader_statements(settings: Settings, mlapp_id: str) -> list[str]:
    """SQL that makes a role which reads the rows of one MLApp and no others; the tables must be there.

    Raises the driver's errors.
    """
    clickhouse = settings.clickhouse
    with clickhouse_client(clickhouse) as client:
        tables = stored_columns(client, clickhouse.cluster)
        # Who reads a materialized view reads the table that it fills, past that table's policies.
        tables |= stored_columns(client, clickhouse.cluster, engines="MaterializedView")
    where = f" {on_cluster(clickhouse.cluster)}" if clickhouse.cluster else ""
    place, role = _quoted(clickhouse.database), _quoted(f"mcenter_reader_of_{mlapp_id}")
    rights = [f"SELECT, SHOW ON {place}.*", *(f"SELECT ON system.{table}" for table in _SYSTEM_TABLES)]
    statements = [f"CREATE ROLE IF NOT EXISTS {role}{where}"]
    statements += [f"GRANT{where} {right} TO {role}" for right in rights]
    return statements + _policies(
        clickhouse.database, clickhouse.cluster, role, rows_of_reader(tables, mlapp_id)
    )


def _policies(database: str, cluster: str, role: str, conditions: Mapping[str, str]) -> list[str]:
    """Row policies of a role, by table.

    The roles for the whole database get a policy as well: a table with a policy may show nothing to those who have none,
    by a setting of the server.
    """
    where = f" {on_cluster(cluster)}" if cluster else ""
    statements = []
    for table, condition in conditions.items():
        everybody = _EVERYBODY if table in OPERATORS_TABLES else f"{_EVERYBODY}, {_ANALYST}"
        for name in sorted({table, local_table(table, cluster)}):
            on = f"{where} ON {_quoted(database)}.{_quoted(name)} FOR SELECT"
            statements += [
                f"CREATE ROW POLICY OR REPLACE mcenter_all{on} USING 1 TO {everybody}",
                f"CREATE ROW POLICY OR REPLACE {role}{on} USING {condition} TO {role}",
            ]
    return statements


def rows_of_reader(tables: Mapping[str, Mapping[str, str]], mlapp_id: str) -> dict[str, str]:
    """Which rows of each table a reader of one MLApp sees: those that are of it and of no other. Pure.

    ``tables`` are types of columns by name. A table that nobody has thought of shows nothing.
    """
    wanted = text_literal(mlapp_id)
    found = {}
    for table, columns in sorted(tables.items()):
        conditions = [
            f"has(`{name}`, {wanted}) AND arrayAll(each -> each = {wanted}, `{name}`)"
            if kind.startswith("Array")
            else f"`{name}` = {wanted}"
            for name, kind in columns.items()
            if name.rpartition(".")[2] in COLUMNS_OF_MLAPPS
        ]
        if table in OPERATORS_TABLES:
            conditions = []
        elif table in KEPT and table.startswith("schema_"):
            conditions = ["1"]
        found[table] = " AND ".join(conditions) or "0"
    return found


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
