"""Roles on a ClickHouse server with the least rights that each needs, as SQL for its administrator.

``mcenter_reader`` asks, ``mcenter_writer`` is the sinks', ``mcenter_admin`` migrates, and backs up and restores. The server of
the local stack has no access management; its two users have the rights of reader and admin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.warehouse.cluster import local_table, on_cluster

if TYPE_CHECKING:
    from collections.abc import Iterable

_SYSTEM_TABLES = ("tables", "columns", "databases", "settings", "clusters")
"""What the queries and checks of this code read of ``system``; the server shows only what the user may see."""


def role_statements(database: str, written: Iterable[str], cluster: str = "") -> list[str]:
    """SQL that makes the three roles; ``written`` are the tables that the sinks insert into.

    What materialized views fill is filled with the rights of the view, not of whoever inserts. Running it again changes
    nothing.
    """
    place = _quoted(database)
    inserted = sorted({local_table(table, cluster) for table in written})
    grants = {
        "mcenter_reader": [f"SELECT, SHOW ON {place}.*"],
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
    return statements


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
