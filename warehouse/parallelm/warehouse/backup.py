"""The database as a whole, to and from a place that ClickHouse itself writes: a folder of the server, or S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse.cluster import on_cluster
from parallelm.warehouse.errors import WarehouseError

if TYPE_CHECKING:
    from parallelm.connections import Settings

_LONG_S = 86_400
"""A backup takes as long as it takes."""


def folder_of_server(path: str) -> str:
    """A folder of the server as the place of a backup."""
    return f"File({text_literal(path)})"


def back_up_database(settings: Settings, place: str) -> None:
    """Write a backup of the database. ``place`` is ClickHouse's: ``File('…')``, ``Disk(…)`` or ``S3('…', …)``."""
    clickhouse = settings.clickhouse
    with clickhouse_client(clickhouse, database="default", send_receive_timeout=_LONG_S) as client:
        client.execute(
            f"BACKUP DATABASE {_name(clickhouse.database)} {on_cluster(clickhouse.cluster)} TO {place}"
        )


def restore_database(settings: Settings, place: str, original: str) -> None:
    """Restore the database that was called ``original`` there under the configured name.

    Raises ``WarehouseError`` when there are tables in it already.
    """
    clickhouse = settings.clickhouse
    with clickhouse_client(clickhouse, database="default", send_receive_timeout=_LONG_S) as client:
        ((tables,),) = client.execute(
            "SELECT count() FROM system.tables WHERE database = %(database)s",
            {"database": clickhouse.database},
        )
        if tables:
            raise WarehouseError(
                f"database {clickhouse.database!r} has {tables} tables: a backup is restored into an empty platform; "
                "name another database in MCENTER_CLICKHOUSE_DATABASE, or drop this one"
            )
        wanted = _name(original)
        if original != clickhouse.database:
            wanted += f" AS {_name(clickhouse.database)}"
        client.execute(f"RESTORE DATABASE {wanted} {on_cluster(clickhouse.cluster)} FROM {place}")


def _name(text: str) -> str:
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"


def text_literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
