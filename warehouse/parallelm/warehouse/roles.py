"""Roles on a ClickHouse server with the least rights that each needs, as SQL for its administrator.

``mcenter_reader`` asks, ``mcenter_writer`` is the sinks', ``mcenter_admin`` migrates. The server of the local stack has no
access management; its two users have the rights of reader and admin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.warehouse.catalogue import Relation

_SYSTEM_TABLES = ("tables", "columns", "databases", "settings")
"""What the queries and checks of this code read of ``system``; the server shows only what the user may see."""


def role_statements(
    database: str, relations: Sequence[Relation], written: Sequence[str], cluster: str = ""
) -> list[str]:
    """SQL that makes the three roles; ``written`` are the tables that the sinks insert into.

    A materialized view runs with the rights of whoever inserts, so that the writer may read what it reads and insert where
    it writes. Running it again changes nothing.
    """
    on_cluster = f" ON CLUSTER {_quoted(cluster)}" if cluster else ""
    place = _quoted(database)
    filled = [each.fills for each in relations if each.fills]
    inserted = sorted({*written, *filled})
    grants = {
        "mcenter_reader": [f"SELECT, SHOW ON {place}.*"],
        "mcenter_writer": [
            f"SELECT, SHOW ON {place}.*",
            *(f"INSERT ON {place}.{_quoted(name)}" for name in inserted),
        ],
        "mcenter_admin": [
            f"SELECT, INSERT, ALTER, CREATE, DROP, TRUNCATE, OPTIMIZE, SHOW ON {place}.*",
        ],
    }
    statements = [f"CREATE ROLE IF NOT EXISTS {role}{on_cluster}" for role in grants]
    for role, rights in grants.items():
        rights += [f"SELECT ON system.{table}" for table in _SYSTEM_TABLES]
        statements += [f"GRANT{on_cluster} {right} TO {role}" for right in rights]
    if cluster:
        statements.append(f"GRANT{on_cluster} CLUSTER ON *.* TO mcenter_admin")
    return statements


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
