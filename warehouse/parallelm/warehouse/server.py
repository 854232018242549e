"""What the ClickHouse server says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clickhouse_driver import Client


def version_and_database(client: Client, database: str) -> tuple[str, bool]:
    """The server's version, and whether the database exists; raises the driver's errors."""
    query = "SELECT version(), (SELECT count() FROM system.databases WHERE name = %(name)s)"
    ((version, databases),) = client.execute(query, {"name": database})
    return version, bool(databases)
