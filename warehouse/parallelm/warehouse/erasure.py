"""Rows of an MLApp, or of a label's value, in every table that has them: count them and delete them for good.

Which tables these are follows from their columns, so that a new table is found as well. Rows are deleted by mutations that
rewrite the parts, not by marks on them: nothing is left in the files. A mutation that was begun goes on in the server, whatever
becomes of who asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse.cluster import local_table, on_cluster
from parallelm.warehouse.errors import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clickhouse_driver import Client

    from parallelm.connections import Settings

KEPT: Final[Mapping[str, str]] = {
    "ingested_blocks": "offsets and counts of blocks of all MLApps",
    "schema_migrations": "what was applied to the database",
    "schema_objects": "definitions of tables",
}
"""Tables that hold nothing of any MLApp, and what they hold."""

_TABLES: Final = (
    "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() AND table IN"
    " (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE %(engines)s)"
)
_LONG_S: Final = 86_400
"""A mutation takes as long as it takes."""

BY_KEY: Final = "(key = %(mlapp_id)s OR startsWith(ifNull(key, ''), concat(%(mlapp_id)s, '/')))"
"""Keys of records are an MLApp's id, or an origin, which begins with it."""
OF_LETTERS: Final = "dead_letters_log"
COLUMNS_OF_MLAPPS: Final = frozenset({"mlapp_id", "mlapp_ids"})


@dataclass(frozen=True, slots=True)
class OfMLApp:
    """Everything of an MLApp."""

    mlapp_id: str

    def __str__(self) -> str:
        return f"MLApp {self.mlapp_id}"

    @property
    def values(self) -> dict[str, str]:
        """What conditions ask for."""
        return {"mlapp_id": self.mlapp_id}

    def condition(self, table: str, columns: Mapping[str, str]) -> str:
        """Which rows of a table are meant; empty: it has none. ``columns`` are its types by name."""
        if table == OF_LETTERS:
            return BY_KEY
        found = [
            f"has(`{name}`, %(mlapp_id)s)" if kind.startswith("Array") else f"`{name}` = %(mlapp_id)s"
            for name, kind in columns.items()
            if name.rpartition(".")[2] in COLUMNS_OF_MLAPPS
        ]
        return " OR ".join(found)


@dataclass(frozen=True, slots=True)
class OfLabel:
    """Rows whose labels have this value, of all MLApps."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"label {self.name}={self.value}"

    @property
    def values(self) -> dict[str, str]:
        """As above. Avro writes an entry of a map as two texts, each after its length."""
        entry = b"".join(_length(len(text)) + text for text in (self.name.encode(), self.value.encode()))
        return {"name": self.name, "value": self.value, "entry": entry.hex()}

    def condition(self, table: str, columns: Mapping[str, str]) -> str:
        """As above. Of a dead letter, a record that is no row yet, the bytes say so."""
        if table == OF_LETTERS:
            return "position(ifNull(value, ''), unhex(%(entry)s)) > 0"
        found = [
            f"(mapContains(`{name}`, %(name)s) AND `{name}`[%(name)s] = %(value)s)"
            for name, kind in columns.items()
            if kind.startswith("Map") and (name == "labels" or name.endswith("_labels"))
        ]
        return " OR ".join(found)


Selection = OfMLApp | OfLabel


def _length(number: int) -> bytes:
    """A length in Avro: zigzag, seven bits a byte, the lowest first."""
    found, left = bytearray(), number << 1
    while left > 0x7F:  # noqa: PLR2004 - seven bits
        found.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*found, left])


def tables_with(settings: Settings, selection: Selection) -> dict[str, str]:
    """Condition on the rows that are meant, by each table that can have some."""
    with clickhouse_client(settings.clickhouse) as client:
        return _conditions(client, settings.clickhouse.cluster, selection)


def count_rows(settings: Settings, selection: Selection) -> dict[str, int]:
    """How many rows are meant, by each table that has some; raises the driver's errors."""
    with clickhouse_client(settings.clickhouse, send_receive_timeout=_LONG_S) as client:
        found = {
            table: _count(client, table, condition, selection.values)
            for table, condition in _conditions(client, settings.clickhouse.cluster, selection).items()
        }
    return {table: count for table, count in found.items() if count}


def delete_rows(settings: Settings, selection: Selection, until_ms: int) -> dict[str, int]:
    """Delete what Kafka took until then, on all replicas; how many rows that were, by table.

    What came later is left alone: a sink that has just inserted a block counts its rows. Aggregates of several records go
    whole. Raises ``WarehouseError`` when rows are left, and the driver's errors.
    """
    cluster = settings.clickhouse.cluster
    deleted: dict[str, int] = {}
    with clickhouse_client(settings.clickhouse, send_receive_timeout=_LONG_S) as client:
        columns = stored_columns(client, cluster)
        for table, condition in _conditions(client, cluster, selection).items():
            wanted, values = f"({condition})", dict[str, Any](selection.values)
            if "ingested_at" in columns[table]:
                wanted += " AND ingested_at <= fromUnixTimestamp64Milli(%(until_ms)s)"
                values["until_ms"] = until_ms
            if count := _count(client, table, wanted, values):
                _delete(client, table, wanted, values, cluster)
                deleted[table] = count
    return deleted


def delete_statement(table: str, condition: str, cluster: str) -> str:
    """SQL that deletes rows for good, on every shard."""
    where = f" {on_cluster(cluster)}" if cluster else ""
    return f"ALTER TABLE {local_table(table, cluster)}{where} DELETE WHERE {condition}"


def _delete(client: Client, table: str, wanted: str, values: Mapping[str, Any], cluster: str) -> None:
    client.execute(
        delete_statement(table, wanted, cluster),
        values,
        settings={"mutations_sync": 2, "distributed_ddl_task_timeout": _LONG_S},
    )
    if left := _count(client, table, wanted, values):
        raise WarehouseError(f"table {table} still has {left} rows that were to be erased: erase them again")


def _count(client: Client, table: str, condition: str, values: Mapping[str, Any]) -> int:
    statement = f"SELECT count() FROM {table} WHERE {condition}"  # noqa: S608 - names of the catalogue
    ((count,),) = client.execute(statement, values)
    return int(count)


def _conditions(client: Client, cluster: str, selection: Selection) -> dict[str, str]:
    found = {
        table: selection.condition(table, columns)
        for table, columns in stored_columns(client, cluster).items()
    }
    return {table: condition for table, condition in sorted(found.items()) if condition}


def stored_columns(client: Client, cluster: str, *, engines: str = "%MergeTree") -> dict[str, dict[str, str]]:
    """Types of columns by table, of each that stores rows; by the name under which all shards are read."""
    found: dict[str, dict[str, str]] = {}
    for stored, column, kind in client.execute(_TABLES, {"engines": engines}):
        plain = stored.removesuffix("_local")
        table = plain if local_table(plain, cluster) == stored else stored
        found.setdefault(table, {})[column] = kind
    return found
