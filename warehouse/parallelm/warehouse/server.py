"""What the ClickHouse server says of its databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clickhouse_driver import Client


def database_exists(client: Client, database: str) -> bool:
    """Whether the server has a database of this name; raises the driver's errors."""
    query = "SELECT count() FROM system.databases WHERE name = %(name)s"
    ((databases,),) = client.execute(query, {"name": database})
    return bool(databases)
